// Package api holds the contract of the service, written by hand: the REST API in openapi.yaml and
// the gRPC API below sellio/.
package api

import _ "embed"

// OpenAPI is the OpenAPI 3.0 document of the REST API, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
