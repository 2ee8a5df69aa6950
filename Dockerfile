# syntax=docker/dockerfile:1

ARG VERSION=dev

# Go cross-compiles, so the build runs on the builder's platform without emulation.
FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w -X main.version=$VERSION" -o bin/sellio-cart ./cmd/sellio-cart

# The binary is static. It needs only CA certificates, for TLS to PostgreSQL and to the host of AUTH_JWKS.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="sellio-cart" \
      org.opencontainers.image.description="The shopping-cart service of the Sellio marketplace: REST and gRPC" \
      org.opencontainers.image.source="https://github.com/sellio/sellio-cart" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/sellio-cart /usr/local/bin/

# Numeric, because Kubernetes cannot tell from a user name that it is not root.
# USER precedes WORKDIR, so that this user owns /data: the default SQLite file is written there.
USER 65532:65532
WORKDIR /data

EXPOSE 8080 50051 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s CMD ["/usr/local/bin/sellio-cart", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/sellio-cart"]
CMD ["serve"]
