"""How the sample faces are drawn, from action units to a small bad photograph.

action_units    what each facial action unit moves; the units of each emotion
people          looks of a person, and the landmarks of a face under action units
painting        a head in a pose, painted part by part
light           folds, shading and direction of the light
snapshots       what spoils a photograph: things before the face, blur, noise, JPEG

Coordinates of a face: x to the right of the picture, y down, the origin
midway between the eyes, the unit half the width of the face.
"""
