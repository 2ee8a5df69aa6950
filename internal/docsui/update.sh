#!/bin/sh
# Rebuilds assets/ from the npm packages that package-lock.json pins. The same lock gives the
# same bytes. To move to a newer version: change package.json, run
# `npm install --package-lock-only` here, then this script.
set -eu
cd "$(dirname "$0")"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp .npmrc package.json package-lock.json "$tmp"
npm ci --prefix "$tmp" --no-audit --no-fund

# ReDoc loads its maker's logo from a CDN, and no option stops it. An image that cannot load
# hides itself and leaves the credit as text.
logo='https://cdn\.redoc\.ly/redoc/logo-mini\.svg'
redoc=$tmp/node_modules/redoc/bundles/redoc.standalone.js
if ! grep -q "$logo" "$redoc"; then
	echo "update.sh: the logo's address changed; look for the new one in $redoc" >&2
	exit 1
fi
sed -i.orig "s#$logo#data:,#" "$redoc"

rm -rf assets
mkdir -p assets/redoc assets/swagger-ui

# put PACKAGE FILE... copies files into assets/PACKAGE; code and styles are compressed.
put() {
	to=assets/$1
	shift
	for file; do
		case $file in
		*.js | *.css) gzip -n -9 <"$file" >"$to/$(basename "$file").gz" ;;
		*) cp "$file" "$to" ;;
		esac
	done
}

put redoc "$redoc" "$redoc.LICENSE.txt" "$tmp"/node_modules/redoc/bundles/*.worker.js.LICENSE.txt \
	"$tmp/node_modules/redoc/LICENSE"

swagger=$tmp/node_modules/swagger-ui-dist
put swagger-ui "$swagger/swagger-ui-bundle.js" "$swagger/swagger-ui-bundle.js.LICENSE.txt" \
	"$swagger/swagger-ui.css" "$swagger/favicon-32x32.png" "$swagger/LICENSE" "$swagger/NOTICE"
