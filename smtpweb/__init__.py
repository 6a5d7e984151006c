"""smtpweb keeps the SMTP servers of your apps, checks them with a real mail, says what is wrong.

The house has floors; a module imports only from floors below its own (``make check`` holds it):

=======================================  =====================================================
``demo`` ``start`` ``app``               serve it, with sandbox SMTP servers or not; build it
``web`` ``cli``                          the doors: JSON API and pages; commands
``batches``                              check many SMTPs, one after the other
``live`` ``transfer``                    watch checks as they run; take a whole registry out and in
``checks`` ``figures`` ``listing``       check an SMTP and let the outcome decide; what to watch;
                                         what lists show
``smtps`` ``arrivals``                   what is registered of an SMTP; did its test mail arrive?
``tokens``                               API tokens, and the callers that they stand for
``apps`` ``accounts`` ``installation``   apps; users; what must hold before a start
``models``                               the tables
``config``                               settings from the environment
``preflight`` ``discovery``              what is likely to fail; the server of a mail address
``presets``                              what is known of mail providers
``mailcheck`` ``order``                  talk to one SMTP server, say what is wrong; put in order
``secretbox`` ``store`` ``extensions``   seal passwords; the database; Flask's extensions
``values`` ``logs`` ``errors``           what a value may be; how we log; what can go wrong
=======================================  =====================================================
"""
