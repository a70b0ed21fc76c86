//go:build tools

// Package tools names the program, so that `go mod tidy` keeps it.
package tools

import _ "oras.land/oras/cmd/oras"
