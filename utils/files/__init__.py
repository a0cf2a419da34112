"""Files: written whole or not at all, locked, and read without trust.

==================  ===========================================================================
`atomic`            atomic writing
`models`            model files
`hdf5`, `pickles`   HDF5 and pickles of unknown origin
`checksums`         checksums of entries; `ModelError`
`bounded`           a random generator with a bound
==================  ===========================================================================
"""
