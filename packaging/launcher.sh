#!/bin/sh
# Runs one of the installed versions of Sterna. Packages install versions beside each other; which one a node runs stands
# in the file `version` of its folder and is changed by `sterna update` and `sterna server run-version` alone, never by apt.
#
# A version that a node has just been given has one try. If it began and never came to serve, the one before runs again:
#   version.trial   the version to go back to, while the one in `version` has not shown that it serves
#   version.tried   the version that has had its try
#   version.failed  the version that did not come up; whoever runs then says so
set -eu

programs=${STERNA_PROGRAMS:-/usr/lib/sterna}
folder=${STERNA_DIR:-/var/lib/sterna}

previous=
for argument in "$@"; do
    [ "$previous" = --dir ] && folder=$argument
    case $argument in --dir=*) folder=${argument#--dir=} ;; esac
    previous=$argument
done

# What the node fetched itself (sterna update download) lies in a folder of the node's user, who may put a link to
# anything there, and another file between a look at it and its start. So root never looks there.
fetched=$folder/versions
[ "$(id -u)" -ne 0 ] || fetched=

# The program of a version: what packages installed, or what the node fetched itself.
program() {
    if [ -x "$programs/$1/sterna" ]; then
        printf '%s\n' "$programs/$1/sterna"
    elif [ -n "$fetched" ] && [ -x "$fetched/$1/sterna" ] && [ -O "$fetched/$1/sterna" ]; then
        printf '%s\n' "$fetched/$1/sterna"
    fi
}

serves() { [ "${command:-}" = serve ]; }
command=${1:-}

# The first line of a file of the node's folder, if it is a version; those who may not look there get none.
recorded() {
    found=
    [ -r "$folder/$1" ] && read -r found < "$folder/$1" || :
    case $found in
        '' | *[!0-9.]*) ;;
        *) printf '%s\n' "$found" ;;
    esac
}

newest() {
    for program in "$programs"/*/sterna ${fetched:+"$fetched"/*/sterna}; do
        name=${program%/sterna}
        name=${name##*/}
        [ -z "$(program "$name")" ] || printf '%s\n' "$name"
    done | grep -E '^[0-9]+\.[0-9]+\.[0-9]+$' | sort -V | tail -n 1
}

if serves && [ -e "$folder/version.trial" ]; then
    if [ -e "$folder/version.tried" ]; then
        mv -f "$folder/version.tried" "$folder/version.failed"
        mv -f "$folder/version.trial" "$folder/version"
        echo "sterna: version $(recorded version.failed) did not come to serve; $(recorded version) runs again" >&2
    else
        cp "$folder/version" "$folder/version.tried"
    fi
fi

version=$(recorded version)
if [ -n "$version" ] && [ -z "$(program "$version")" ]; then
    echo "sterna: version $version is to run in $folder and is not installed; install it: apt install sterna-$version" >&2
    # It may be there all the same, fetched by the node.
    [ -n "$fetched" ] || echo "sterna: root runs installed versions alone; as the node's user: sudo -u sterna sterna" >&2
    # EX_CONFIG: starting again doesn't help. Other commands do without.
    if serves; then exit 78; fi
    version=
fi
[ -n "$version" ] || version=$(newest)
if [ -z "$version" ]; then
    echo "sterna: no version is installed in $programs; install one: apt install sterna" >&2
    exit 78
fi
exec "$(program "$version")" "$@"
