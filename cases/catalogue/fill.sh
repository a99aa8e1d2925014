#!/bin/sh
# fill.sh [COUNT]: products p-1 to p-COUNT (1,000) through the REST face of a catalogue, whichever
# language it is written in. For `tandem compare --stateful`: the port of the face is in
# TANDEM_PORT_REST.
set -eu
count=${1:-1000}
face=http://127.0.0.1:${TANDEM_PORT_REST:?the port of the REST face}
requests=$(mktemp)
trap 'rm -f "$requests"' EXIT
awk -v count="$count" -v face="$face" 'BEGIN {
    split("kitchen light furniture tools garden outdoor office", categories, " ")
    for (number = 1; number <= count; number++) {
        printf "%surl = \"%s/v1/products?productId=p-%d\"\n", (number > 1 ? "next\n" : ""), face, number
        printf "header = \"content-type: application/json\"\nfail\nsilent\nshow-error\noutput = \"/dev/null\"\n"
        printf "data = \"{\\\"displayName\\\":\\\"Thing %d\\\",\\\"description\\\":\\\"A thing, number %d of its kind.\\\",", number, number
        printf "\\\"category\\\":\\\"%s\\\",\\\"price\\\":{\\\"currencyCode\\\":\\\"EUR\\\",\\\"units\\\":\\\"%d\\\"},", categories[number % 7 + 1], 1 + number * 37 % 500
        printf "\\\"stock\\\":\\\"%d\\\",\\\"labels\\\":{\\\"colour\\\":\\\"green\\\"}}\"\n", number * 13 % 100
    }
}' > "$requests"
curl --fail-early --config "$requests"
