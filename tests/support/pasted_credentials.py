"""Where people paste credentials: the files, commands, code and logs that hold one."""

from __future__ import annotations

import base64
import html
import json
import shlex
import urllib.parse
from collections.abc import Callable

Holder = Callable[[str], str]


def b64(text: str) -> str:
    """Encode ``text`` in base64."""
    return base64.b64encode(text.encode()).decode()


def _folded(text: str, width: int = 76) -> str:
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


def _percent(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _single(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _doubled(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(secret: str) -> str:
    return b64(f"\0shop@example.org\0{secret}")


_LONG = "eyJ0eXAiOiJKV1QiLCJub25jZSI6IjEyMyJ9." + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0" * 30


def _bearer(secret: str) -> str:
    return b64(f"user=shop@example.org\1auth=Bearer {secret}\1\1")


# Any printable secret: the holder quotes it
QUOTED: dict[str, Holder] = {
    "nodemailer": lambda s: (
        "const t = nodemailer.createTransport({ host: 'smtp.example.org', port: 587,"
        f" auth: {{ user: 'shop', pass: {_single(s)} }} }});"
    ),
    "nodemailer, lines": lambda s: (
        f"  auth: {{\n    user: \"shop\",\n    pass: {json.dumps(s)},\n  }},"
    ),
    "nodemailer, next line": lambda s: f"    pass:\n      {_single(s)},",
    "nodemailer, typed": lambda s: f"const password: string = {json.dumps(s)};",
    "Django settings": lambda s: f"EMAIL_HOST_USER = 'shop'\nEMAIL_HOST_PASSWORD = {s!r}",
    "Django, from the environment": lambda s: (
        f"EMAIL_HOST_PASSWORD = os.environ.get('EMAIL_HOST_PASSWORD', {s!r})"
    ),
    "Python login": lambda s: f"    server.login('shop@example.org', {s!r})",
    "Python login, lines": lambda s: (
        f"    server.login(\n        'shop@example.org',\n        {s!r},\n    )"
    ),
    "Python login, name in a variable": lambda s: f"    server.login(USER, {s!r})",
    "Python login, one string": lambda s: f"    server.login({s!r})",
    "Python login, keyword": lambda s: f"server.login(user='shop', password={s!r})",
    "aiosmtplib": lambda s: f"await aiosmtplib.send(m, hostname='h', username='a', password={s!r})",
    "Python comparison": lambda s: f"    if password == {s!r}:",
    "Python bytes": lambda s: f"base64.b64encode(b{s!r})",
    "requests": lambda s: f"requests.post(url, auth=('api', {s!r}), data=data)",
    "PHPMailer": lambda s: f"$mail->Username = 'shop';\n$mail->Password = {_single(s)};",
    "PHP define": lambda s: f"define( 'SMTP_PASS', {_single(s)} );",
    "Laravel config": lambda s: f"'smtp' => ['username' => 'shop', 'password' => {_single(s)}],",
    "Laravel env default": lambda s: f"'password' => env('MAIL_PASSWORD', {_single(s)}),",
    "Swift Mailer": lambda s: f"->setUsername('shop')->setPassword({_single(s)});",
    ".env, quoted": lambda s: f"MAIL_HOST=smtp.example.org\nMAIL_PASSWORD={json.dumps(s)}\nA=b",
    "application.yml": lambda s: (
        f"spring:\n  mail:\n    host: smtp.example.org\n    password: {_doubled(s)}\n    port: 587"
    ),
    "YAML block": lambda s: f"smtp:\n  password: |\n    {s}\n  host: smtp.example.org",
    "Jakarta Mail": lambda s: f'props.put("mail.smtp.password", {json.dumps(s)});',
    "Jakarta Mail, connect": lambda s: (
        f'transport.connect("smtp.example.org", "shop", {json.dumps(s)});'
    ),
    "Jakarta Mail, authenticator": lambda s: (
        f'return new PasswordAuthentication("shop", {json.dumps(s)});'
    ),
    "Java field": lambda s: f"private static final String PASSWORD = {json.dumps(s)};",
    "Java entry": lambda s: f'<entry key="mail.smtp.password">{html.escape(s)}</entry>',
    "Ruby start": lambda s: (
        f"Net::SMTP.start('smtp.example.org', 587, 'h.example', 'shop', {_single(s)}, :plain) do"
    ),
    "Rails": lambda s: f":user_name => 'shop', :password => {_single(s)}, :address => 'h'",
    "Rails, symbols": lambda s: f"user_name: 'shop', password: {_single(s)}, port: 587",
    "Go": lambda s: f'smtp.PlainAuth("", "shop", {json.dumps(s)}, "smtp.example.org")',
    "Go struct": lambda s: f"mail.Config{{User: \"shop\", Password: {json.dumps(s)}, Port: 587}}",
    ".NET": lambda s: f'c.Credentials = new NetworkCredential("shop", {json.dumps(s)});',
    "MailKit": lambda s: f'client.Authenticate ("shop", {json.dumps(s)});',
    "appsettings.json": lambda s: (
        f'{{"Smtp": {{"Host": "smtp.example.org", "Password": {json.dumps(s)}, "Port": 587}}}}'
    ),
    "appsettings.json, escaped": lambda s: json.dumps(json.dumps({"Password": s, "Port": 587})),
    "web.config": lambda s: (
        '<network host="smtp.example.org" userName="shop"'
        f' password="{html.escape(s)}" port="587" />'
    ),
    "web.config, appSettings": lambda s: f'<add key="SmtpPassword" value="{html.escape(s)}" />',
    "web.config, value first": lambda s: f'<add value="{html.escape(s)}" key="SmtpPassword" />',
    "XML element": lambda s: f"<smtp><password>{html.escape(s)}</password></smtp>",
    "XML lines": lambda s: f"<password>\n    {html.escape(s)}\n  </password>",
    "property list": lambda s: f"<key>Password</key>\n<string>{html.escape(s)}</string>",
    "docker-compose list": lambda s: f'    environment:\n      - "SMTP_PASSWORD={s}"\n'
    if '"' not in s and "\\" not in s
    else f"      - 'SMTP_PASSWORD={s.replace(chr(39), chr(39) * 2)}'",
    "docker-compose map": lambda s: f"    environment:\n      SMTP_PASSWORD: {_doubled(s)}",
    "container definition": lambda s: json.dumps({"name": "SMTP_PASSWORD", "value": s}),
    "Kubernetes env": lambda s: f"- name: SMTP_PASSWORD\n  value: {_doubled(s)}",
    "Kubernetes stringData": lambda s: (
        f"kind: Secret\nstringData:\n  relay: {json.dumps(s)}\ntype: Opaque"
    ),
    "shell": lambda s: f"export SMTP_PASSWORD={shlex.quote(s)}",
    "shell, inline": lambda s: f"SMTP_PASSWORD={shlex.quote(s)} ./send --host smtp.example.org",
    "curl": lambda s: f"curl -v --user {shlex.quote('shop:' + s)} smtp://smtp.example.org",
    "curl -u": lambda s: f"curl -u {shlex.quote('shop:' + s)} smtps://smtp.example.org -T m.txt",
    "swaks": lambda s: f"swaks -s smtp.example.org -a PLAIN -au shop -ap {shlex.quote(s)} -tls",
    "swaks, long": lambda s: f"swaks --auth-user shop --auth-password {shlex.quote(s)}",
    "swaks, equals": lambda s: f"swaks --auth-password={shlex.quote(s)} --to a@example.org",
    "sendemail": lambda s: f"sendemail -xu shop -xp {shlex.quote(s)} -s smtp.example.org:587",
    "argument list": lambda s: f"subprocess.run(['swaks', '--auth-password', {s!r}, '-tls'])",
    "PowerShell": lambda s: f"ConvertTo-SecureString {_doubled(s)} -AsPlainText -Force",
    "base64 pipe": lambda s: f"echo -n {shlex.quote(s)} | base64",
    "form body": lambda s: f"host=smtp.example.org&smtp%5Bpassword%5D={_percent(s)}&port=587",
    "client secret": lambda s: (
        f"grant_type=refresh_token&client_secret={_percent(s)}&refresh_token={_percent(s)}"
    ),
    "confirmation": lambda s: f"password_confirmation={_percent(s)}&passwordAgain={_percent(s)}",
    "encoded JSON": lambda s: _percent(json.dumps({"password": s, "host": "h.example"})),
    "encoded form": lambda s: _percent(f"host=h.example&password={_percent(s)}"),
    "query": lambda s: f"GET /send?host=h.example&password={_percent(s)}&to=a%40b.example HTTP/1.1",
    "Symfony DSN": lambda s: f"MAILER_DSN=smtp://shop:{_percent(s)}@smtp.example.org:587",
    "Symfony DSN, user with @": lambda s: f"smtps://shop%40h.example:{_percent(s)}@smtp.example.org",
    "Symfony DSN, key alone": lambda s: f"MAILER_DSN=sendgrid://{_percent(s)}@default",
    "Symfony DSN, API key": lambda s: f"MAILER_DSN=mailgun+https://{_percent(s)}:h.example@default",
    "Symfony DSN, API": lambda s: f"Failed to use postmark+api://{_percent(s)}@default for mail",
    "Symfony URL": lambda s: f"MAILER_URL=smtp://h.example:25?username=shop&password={_percent(s)}",
    "Sentry DSN": lambda s: f"SENTRY_DSN=https://{_percent(s)}@o1.ingest.example.org/42",
    "PLAIN": lambda s: f"AUTH PLAIN {_plain(s)}",
    "PLAIN after 334": lambda s: f"C: AUTH PLAIN\nS: 334 \nC: {_plain(s)}\nS: 535 5.7.8 no",
    "PLAIN, folded": lambda s: f"C: AUTH PLAIN\nS: 334\n{_folded(_plain(s + s * 4))}\n535 5.7.8 no",
    "PLAIN, no context": lambda s: f"what is {_plain(s)} for?",
    "LOGIN": lambda s: (
        f"334 VXNlcm5hbWU6\nc2hvcA==\n334 UGFzc3dvcmQ6\n{b64(s)}\n535 5.7.8 not accepted"
    ),
    "LOGIN, swaks": lambda s: (
        f"<-  334 VXNlcm5hbWU6\n -> c2hvcA==\n<-  334 UGFzc3dvcmQ6\n -> {b64(s)}\n<** 535 5.7.8 no"
    ),
    "LOGIN, smtplib": lambda s: (
        f"reply: b'334 UGFzc3dvcmQ6\\r\\n'\nsend: '{b64(s)}\\r\\n'\nreply: b'535 5.7.8 no\\r\\n'"
    ),
    "LOGIN, initial response": lambda s: f"AUTH LOGIN c2hvcA==\n334 UGFzc3dvcmQ6\n{b64(s)}",
    "XOAUTH2": lambda s: f"AUTH XOAUTH2 {_bearer(s)}",
    "XOAUTH2, long": lambda s: f"C: AUTH XOAUTH2 {_bearer(_LONG + s)}\nS: 535 5.7.3 no",
    "XOAUTH2, folded": lambda s: f"C: AUTH XOAUTH2\nS: 334\n{_folded(_bearer(_LONG + s))}\n535 no",
    "Basic": lambda s: f"Authorization: Basic {b64('shop:' + s)}",
    "Docker config": lambda s: json.dumps({"auths": {"r.example": {"auth": b64("shop:" + s)}}}),
    "kubectl get secret": lambda s: (
        f"apiVersion: v1\ndata:\n  smtp: {b64(s)}\n  user: c2hvcA==\nkind: Secret\n"
    ),
    "kubectl get secret, JSON": lambda s: json.dumps(
        {"kind": "Secret", "data": {"relay": b64(s)}}, indent=4
    ),
    "kubectl, named": lambda s: f"smtp-password: {b64(s)}",
    "file in base64": lambda s: "msmtprc: " + b64(f"host smtp.example.org\npassword = {s!r}"),
    "HTML": lambda s: html.escape(json.dumps({"password": s, "host": "h.example"})),
    "Spanish": lambda s: f'usuario: "shop", contraseña: {json.dumps(s)}',
    "Portuguese": lambda s: f"senha={shlex.quote(s)}",
    "German": lambda s: f"Passwort: {json.dumps(s)}",
    "French": lambda s: f"mot de passe : {json.dumps(s)}",
    "Russian": lambda s: f"пароль: {json.dumps(s)}",
    "Chinese": lambda s: f"密码：{json.dumps(s)}",
    "Japanese": lambda s: f"パスワード: {json.dumps(s)}",
    "sentence": lambda s: f"I am sure that my password is {json.dumps(s)}, but the server refuses.",
}  # fmt: skip

# The holder takes the secret as it is: no blanks, quotes, backslashes
BARE: dict[str, Holder] = {
    "netrc": lambda s: f"machine smtp.example.org\nlogin shop\npassword {s}\n",
    "netrc, one line": lambda s: f"machine smtp.example.org login shop password {s}",
    "netrc, account last": lambda s: f"machine smtp.example.org password {s} login shop",
    "msmtprc": lambda s: f"account a\nhost smtp.example.org\nuser shop\npassword   {s}\n",
    "fetchmailrc": lambda s: f"poll h.example user 'shop' there with password '{s}' is me here",
    "sasl_passwd": lambda s: f"[smtp.example.org]:587    shop@example.org:{s}",
    "sasl_passwd, other user": lambda s: f"[smtp.sendgrid.net]:587 apikey:{s}",
    "sasl_passwd, plain host": lambda s: f"smtp.example.org shop:{s}",
    "sasl_passwd, by sender": lambda s: f"anna@example.org shop:{s}",
    "OpenSMTPD secrets": lambda s: f"relay shop@example.org:{s}",
    "Exim passwd.client": lambda s: f"*.example.org:shop@example.org:{s}",
    "Exim authenticator": lambda s: f"  client_send = : shop : {s}",
    "Exim PLAIN": lambda s: f"  client_send = ^shop^{s}",
    "Sendmail authinfo": lambda s: f'AuthInfo:smtp.example.org "U:shop" "P:{s}" "M:PLAIN"',
    "ssmtp": lambda s: f"mailhub=smtp.example.org:587\nAuthUser=shop\nAuthPass={s}\n",
    ".env": lambda s: f"MAIL_HOST=smtp.example.org\nMAIL_PASSWORD={s}\nMAIL_PORT=587",
    "application.properties": lambda s: f"spring.mail.host=h.example\nspring.mail.password={s}",
    "application.yml, plain": lambda s: f"    username: shop\n    password: {s}\n    port: 587",
    "docker -e": lambda s: f"docker run -e SMTP_PASSWORD={s} -e SMTP_HOST=smtp.example.org mail",
    "systemd": lambda s: f'Environment="SMTP_PASSWORD={s} {s}" "SMTP_HOST=smtp.example.org"',
    "connection string": lambda s: f"Endpoint=smtp.example.org;User=shop;Password={s}",
    "nullmailer": lambda s: f"smtp.example.org smtp --port=587 --user=shop --pass={s}",
    "curl, attached": lambda s: f"curl -ushop:{s} smtp://smtp.example.org",
    "curl, OAuth": lambda s: f"curl --oauth2-bearer {s} --user shop smtp://smtp.example.org",
    "swaks, bare": lambda s: f"swaks -au shop -ap {s} -s smtp.example.org",
    "doveadm": lambda s: f"doveadm auth test shop@example.org {s}",
    "testsaslauthd": lambda s: f"testsaslauthd -u shop -p {s}",
    "NULs": lambda s: f"AUTH PLAIN \\0shop\\0{s}",
    "NULs, perl": lambda s: f'encode_base64("\\000shop\\@example.org\\000{s}")',
    "typed after 334": lambda s: f"334 UGFzc3dvcmQ6\n{s}\n535 5.7.8 not base64",
    "typed after 334, transcript": lambda s: f"S: 334 UGFzc3dvcmQ6\nC: {s} {s}\nS: 501 5.5.2 no",
    "Bearer header": lambda s: f"Authorization: Bearer {s}",
    "Bearer in curl": lambda s: f"curl -H 'Authorization: Bearer {s}' https://api.example.org",
    "API key header": lambda s: f"X-Api-Key: {s}",
    "server token": lambda s: f"X-Postmark-Server-Token: {s}",
    "comparison": lambda s: f"assert password == {s}",
    "strict comparison": lambda s: f"if (password === '{s}')",
    "user and password": lambda s: f"SMTP_AUTH=shop:{s}",
    "URL": lambda s: f"smtp://shop@example.org:{s}@smtp.example.org:587",
    "URL with a quote": lambda s: f"smtp://shop:a'{s}@smtp.example.org:587",
    "TOML": lambda s: f'[email]\nserver = "h.example"\nuser = "shop"\nsecret = "{s}"',
    "key in capitals": lambda s: f"SENDGRID_KEY={s}",
    "prompt": lambda s: f"Username: shop\nPassword: {s}\n535 5.7.8 Authentication failed",
    "spaces in .env": lambda s: f"SMTP_PASSWORD={s} {s}\nSMTP_HOST=h.example",
}  # fmt: skip

# "x;port=25" may be a password, or one and the next setting: there such passwords must be quoted
AMBIGUOUS = frozenset({"connection string", "docker -e", "comparison", "sentence"})

# The body is the secret: a key in PEM
PEM = (
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----", "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----",
)  # fmt: skip
