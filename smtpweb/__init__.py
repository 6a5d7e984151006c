"""smtpweb keeps the SMTP servers of your apps and checks each of them with a real email.

A module imports only from layers below its own (``make lint`` checks it):

=======================================  =====================================================
``demo``                                 serve with sandbox SMTP servers and a demo account
``__main__``                             ``python -m smtpweb``: keys, migrations, then gunicorn
``app``                                  build the Flask application from its settings
``web`` ``cli``                          HTTP: JSON API and pages; the ``flask`` commands
``monitoring``                           check on a schedule, notify of changes, keep history
``checking``                             run checks and apply their outcome
``oauth``                                access tokens: request, cache, sign in for them
``registry``                             apps and their SMTP servers
``installation``                         what must be true before the first request
``accounts`` ``providers`` ``config``    users and tokens; email providers; settings
``database``                             tables, sessions, sealed secrets
``validators``                           parse and validate single values
``vetted_http``                          one HTTP request to a host that a user named
``mailcheck``                            talk to one SMTP server and diagnose what happened
``logs`` ``extensions`` ``errors``       logging; Flask extensions; errors that a user may read
``deferred``                             what is imported on first use
=======================================  =====================================================
"""

__version__ = "0.1.0"
