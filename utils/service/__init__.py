"""`symfer serve`: serve a trained model over HTTP, with a web page for pictures and the camera.

==================  ===========================================================================
`limits`            limits of size, number and time
`batcher`           batches waiting requests for detector and network, in one thread
`multipart`         parses several pictures in one body, in memory
`app`               the routes; `live`: frames of a camera over a WebSocket
`guard`             checks body sizes, origins and hosts, and sets response headers
`openapi`           the description of the routes, as OpenAPI and as HTML
`server`            listens on an address until a signal ends it
`page`              HTML, script and style, without a build step or external resources
==================  ===========================================================================
"""
