#!/usr/bin/env bash
# The service behind the shipped nginx, on one machine and without root: to try what production does, or where no systemd is.
#
#   deploy/serve.sh [--check]        --check writes the configuration and has nginx test it, and starts nothing
#
# HTTPS on HTTPS_PORT (8443), a redirect to it on HTTP_PORT (8080). CERTIFICATE_FOLDER names a folder with
# fullchain.pem and privkey.pem; without it a certificate is made that no browser believes. Ctrl-C or TERM stops both in order.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || {
    echo "nginx is not installed; on Debian and Ubuntu: apt-get install nginx-light. Without it: make serve" >&2
    exit 1
}
folder=$(mktemp -d)
service='' proxy=''
finish() {
    trap - EXIT INT TERM
    # The proxy first, so that nobody new is promised an answer; then the service answers what it admitted.
    [ -z "$proxy" ] || { kill -QUIT "$proxy" 2>/dev/null && wait "$proxy"; } || true
    [ -z "$service" ] || { kill -TERM "$service" 2>/dev/null && wait "$service"; } || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM

https=${HTTPS_PORT:-8443} http=${HTTP_PORT:-8080} port=${SIGNCLIP_PORT:-3030}
certificate=${CERTIFICATE_FOLDER:-$folder}
if [ "$certificate" = "$folder" ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
        -keyout "$folder/privkey.pem" -out "$folder/fullchain.pem" 2>/dev/null
fi
{
    echo "daemon off; pid $folder/pid; error_log stderr;"
    echo "events { worker_connections 4096; }"
    echo "http {"
    for kind in proxy fastcgi uwsgi scgi; do echo "    ${kind}_temp_path $folder/$kind;"; done
    sed -e "s|127.0.0.1:3030|127.0.0.1:$port|" -e "s|/etc/ssl/signclip|$certificate|" -e "s|/run/signclip-nginx|$folder/bodies|" \
        -e "s|listen 80;|listen $http;|" -e "s|listen 443 |listen $https |" -e '/listen \[::\]/d' \
        -e "s|https://\$host\$request_uri|https://\$host:$https\$request_uri|" deploy/nginx/signclip.conf
    echo "}"
} >"$folder/nginx.conf"
command=("$nginx" -e stderr -p "$folder" -c "$folder/nginx.conf")
"${command[@]}" -t -q
[ "${1:-}" != --check ] || exit 0

SIGNCLIP_HOST=127.0.0.1 SIGNCLIP_PORT=$port SIGNCLIP_TRUSTED_PROXIES=127.0.0.1 .venv/bin/gunicorn -w "${WEB_CONCURRENCY:-4}" app:app &
service=$!
"${command[@]}" &
proxy=$!
echo "https://localhost:$https" >&2
wait -n
echo "the service or nginx has ended" >&2
exit 1
