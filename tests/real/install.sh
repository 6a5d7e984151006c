#!/usr/bin/env bash
# What the tests against real SMTP servers need beyond Postfix, on Debian 12 as root.
# Debian's mail servers exclude each other, so only Postfix is installed; the others are kept as
# packages, and each test run unpacks them into a root directory of their own (tests/real/jail.py).
set -euo pipefail
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
servers=(
  exim4-base exim4-daemon-light
  sendmail-base sendmail-bin sendmail-cf
  opensmtpd
  dovecot-core dovecot-submissiond
)
kept=/var/cache/smtpweb-real-servers

mkdir -p "$kept/new"
(cd "$kept/new" && apt-get download -q "${servers[@]}")
rm -f "$kept"/*.deb
mv "$kept"/new/*.deb "$kept"
rmdir "$kept/new"

# The servers' libraries exclude nothing. Of alternatives (a | b) the first is taken.
mapfile -t libraries < <(
  for package in "$kept"/*.deb; do dpkg-deb --field "$package" Depends; done |
    tr ',' '\n' | sed -E 's/^ *([^ |(]+).*/\1/' | grep '^lib' | sort -u
)
apt-get install -q -y --no-install-recommends \
  m4 dash sasl2-bin libsasl2-modules libsasl2-modules-db postgrey "${libraries[@]}" < /dev/null

# Haraka comes from the npm registry; its lock file is beside its package.json.
if ! command -v npm > /dev/null; then
  apt-get install -q -y --no-install-recommends nodejs npm < /dev/null
fi
npm ci --prefix haraka --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
