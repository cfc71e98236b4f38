#!/bin/sh
# Makes this machine a node of an installation, with the roles whose packages are installed (sterna-data, sterna-edge).
# /etc/sterna/join has two lines: the main node's address (mail1:7700), and a token of `sterna server invite`.
set -eu

answers=${CREDENTIALS_DIRECTORY:-/etc/sterna}/join
roles=$(cd /usr/lib/sterna/roles.d && ls | paste -s -d ,)
{ read -r main && read -r token; } < "$answers" || {
    echo "sterna: $answers must have two lines: the main node as HOST:PORT, and the token of sterna server invite" >&2
    exit 78
}
# Not as an argument, which everybody on the machine can read.
STERNA_JOIN_TOKEN=$token /usr/bin/sterna init --join "$main" --roles "$roles"
