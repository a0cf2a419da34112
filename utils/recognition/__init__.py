"""Apply a trained model to photographs and video: from a file or a camera to faces and their expressions.

==================  ===========================================================================
`recognise`         one `Recognition` for each picture or frame
`sources`           pictures, folders, video, cameras and arrays as frames
`images`            decoding of pictures in many formats, within bounds
`detection`         face detection: YuNet, or the whole picture
`crops`             face crops like those of FER2013
`classifier`        a model as one compiled function per batch size
`tracks`            linking of the faces of consecutive frames to persons
`results`           `Face` and `Recognition`
`tables`            results for the terminal, as JSON and as CSV
`drawing`           boxes, labels and bars on pictures and video
`timeline`          a figure of the classes over time
==================  ===========================================================================
"""
