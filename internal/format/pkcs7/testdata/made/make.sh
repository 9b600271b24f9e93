#!/bin/sh
# Makes the signatures beside this file with openssl. The keys are thrown away:
# run it only to add a case, and check in all files it writes.
set -eu
cd "$(dirname "$0")"
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
content=$keys/content
printf %s d1fa8cbf3ff7f3e8bb63d7fe42e3f1b0a3c2a9af09fbc1f9e4c70e40c5d6d4a1 >"$content"

pair() { # NAME OPTION...
	name=$1
	shift
	openssl req -x509 "$@" -nodes -days 3650 -subj "/CN=$name/O=Sextant tests" -keyout "$keys/$name" -out "$name.crt" 2>/dev/null
}
pair rsa -newkey rsa:2048
pair p256 -newkey ec -pkeyopt ec_paramgen_curve:P-256
pair p384 -newkey ec -pkeyopt ec_paramgen_curve:P-384

make() { # FILE KEY COMMAND OPTION...
	file=$1 key=$2 command=$3
	shift 3
	openssl "$command" -sign -binary -outform der -in "$content" -out "$file.p7s" -signer "$key.crt" -inkey "$keys/$key" "$@"
}
make rsa rsa smime -noattr
make rsa-nocerts rsa smime -noattr -nocerts
make rsa-attributes rsa smime
make p256 p256 smime -noattr
make p384-attributes p384 cms
make stream rsa smime -stream
make attached-stream p256 smime -stream -nodetach
make two-signers rsa smime -noattr -signer p256.crt -inkey "$keys/p256"
make sha512 rsa smime -noattr -md sha512
make sha1 rsa smime -noattr -md sha1
make keyid rsa cms -noattr -keyid
make pss rsa cms -noattr -keyopt rsa_padding_mode:pss
