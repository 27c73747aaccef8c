#!/bin/sh
# Has other implementations check interop-v1.json, and prints what they said, as interop-v1.results.json records it.
#
#   Go:  golang.org/x/mod (sumdb/note, sumdb/tlog); on Debian: apt-get install golang-go golang-golang-x-mod-dev
#   npm: @sigstore/verify, installed into a folder that is given as the only argument
#
# Usage: sh tests/vectors/run_interop.sh NODE_MODULES
set -eu
here=$(dirname "$0")
vector="$here/interop-v1.json"
modules=$1
go_said=$(cd "$here" && GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go run verify_interop.go interop-v1.json)
node_said=$(node "$here/verify_interop.js" "$modules" "$vector")
go_version=$(go version | cut -d ' ' -f 3)
mod_version=$(dpkg-query -W -f '${Version}' golang-golang-x-mod-dev 2>/dev/null || echo unknown)
npm_version=$(node -p "require('$modules/@sigstore/verify/package.json').version")
cat <<END
{
 "vector_sha256": "$(sha256sum "$vector" | cut -d ' ' -f 1)",
 "golang.org/x/mod": {"version": "$mod_version", "go": "$go_version", "said": $go_said},
 "@sigstore/verify": {"version": "$npm_version", "node": "$(node --version)", "said": $node_said}
}
END
