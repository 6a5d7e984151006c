"""smtpweb keeps the SMTP servers of your apps, checks them with a real email, says what is wrong.

A module imports only from layers below its own (``make lint`` checks it):

=======================================  =====================================================
``demo``                                 serve with sandbox SMTP servers and a demo account
``__main__``                             ``python -m smtpweb``: keys, migrations, then gunicorn
``app``                                  build the Flask application from its settings
``web`` ``cli``                          HTTP: JSON API and pages; the ``flask`` commands
``monitoring``                           schedule and workers; history, figures for operators
``checking``                             run checks, let their outcome decide, report on them
``registry``                             apps and their SMTP servers
``installation``                         what must hold before this installation may serve
``accounts`` ``providers`` ``config``    users and tokens; email providers; settings
``database``                             tables, sessions, sealed secrets
``validators``                           what a value may be
``mailcheck``                            one SMTP server, one conversation, one diagnosis
``logs`` ``extensions`` ``errors``       logging; Flask's extensions; what can go wrong
=======================================  =====================================================
"""

__version__ = "0.1.0"
