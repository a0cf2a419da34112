"""Files: atomic writing, locking, and safe reading of files of unknown origin.

========================================  =====================================================
`atomic`                                  atomic writing
`locks`                                   locks of files and of models
`folders`                                 new and numbered folders
`models`                                  model files
`hdf5`, `pickles`, `safetensors_`         the file formats, read safely
`checksums`                               checksums of entries; `ModelError`
`bounded`                                 a random generator with a bound
`terminal`                                safe text for terminals and spreadsheets
`yaml_`                                   YAML of configurations
`former`                                  former names in files
`extras`                                  libraries of symfer's extras
========================================  =====================================================
"""
