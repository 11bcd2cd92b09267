"""The service: a web page that protects in the browser, the API behind it, a queue and its workers."""
