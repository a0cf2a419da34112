"""A trained model on photographs and video: from a file or a camera to faces with their emotions.

==================  ===========================================================================
`recognise`         one `Recognition` for each picture or frame
`sources`           pictures, folders, video, cameras and arrays as frames
`images`            pictures of any kind, decoded within bounds
`detection`         where the faces are: YuNet, or the whole picture
`crops`             faces as FER2013's are cut out
`classifier`        a model as one compiled function a batch size
`tracks`            faces of consecutive frames linked to persons
`results`           `Face` and `Recognition`
`tables`            results for the terminal, as JSON and as CSV
`drawing`           boxes, labels and bars on pictures and video
`timeline`          the classes over time as a figure
==================  ===========================================================================
"""
