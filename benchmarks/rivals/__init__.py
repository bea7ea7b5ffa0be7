"""What a user would pick instead of aiocake, as a good engineer would write it by hand.

Each module says what it does not do (``LACKS``), and has one or more ways to open a client:
functions of a URL, the number of calls at once and a context for TLS, that yield what makes a
call. None of the rivals has retries, a throttle, a limit for bodies, a look at the
``request_status`` of an answer (CAKE refuses with status 200 as well), or anything that keeps the
key out of logs and tracebacks.
"""
