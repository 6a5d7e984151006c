"""smtpweb keeps the SMTP servers of your apps, checks them with a real mail, says what is wrong.

The house has floors; a module imports only from floors below its own (``make check`` holds it):

====================================  ==========================================================
``app`` ``demo``                      build the application; run it with sandbox SMTP servers
``web`` ``cli``                       the doors: JSON API, pages, commands
``smtps`` ``figures``                 what can be done with an SMTP; what an operator watches
``apps`` ``accounts`` ``installation``  apps; users, sessions and tokens; what holds before a start
``models``                            the tables
``config``                            settings from the environment
``mailcheck`` ``secretbox`` ``store``   talk to an SMTP server; seal passwords; the database
``extensions`` ``values`` ``errors``    Flask extensions; what a value may be; what can go wrong
====================================  ==========================================================
"""
