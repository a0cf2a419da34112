"""Draw the sample faces, from action units to a small, imperfect photograph.

action_units    effects of the facial action units; the units of each emotion
people          appearance of a person, and the landmarks of a face under action units
painting        a head in a pose, painted part by part
light           skin folds, shading and lighting
snapshots       imperfections of a photograph: occlusions, blur, noise, JPEG

In face coordinates, x points to the right of the picture and y down. The origin is midway between the eyes, and the
unit is half the width of the face.
"""
