"""`symfer serve`: a trained model behind HTTP, with a page for pictures and the camera.

==================  ===========================================================================
`limits`            how large, how many, how long
`batcher`           requests that wait go through detector and network together, in one thread
`multipart`         several pictures in one body, in memory
`app`               the routes; `live`: frames of a camera through a WebSocket
`guard`             bounds of bodies, origins and hosts, headers of every answer
`openapi`           what the routes take and give, for programs and for people
`server`            an address listened on, until a signal ends it
`page`              HTML, script and style: no build step, nothing from elsewhere
==================  ===========================================================================
"""
