#!/bin/sh
shift
echo "started as $(id -u):$(id -g) in $PWD"
exec "$@"
