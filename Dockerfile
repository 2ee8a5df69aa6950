# syntax=docker/dockerfile:1

ARG VERSION=dev

# Go compiles for every platform, so the build runs on the builder's own and needs no emulation.
FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w -X main.version=$VERSION" -o bin/sellio-cart ./cmd/sellio-cart

# The binary is static: all it needs beside itself are certificates, for TLS to PostgreSQL.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="sellio-cart" \
      org.opencontainers.image.description="The shopping-cart service of the Sellio marketplace: REST and gRPC" \
      org.opencontainers.image.source="https://github.com/sellio/sellio-cart" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/sellio-cart /usr/local/bin/

# A number, because Kubernetes cannot tell from a name that it is not root.
# USER stands before WORKDIR, which makes the folder for it: the SQLite default is written there.
USER 65532:65532
WORKDIR /data

EXPOSE 8080 50051 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s CMD ["/usr/local/bin/sellio-cart", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/sellio-cart"]
CMD ["serve"]
