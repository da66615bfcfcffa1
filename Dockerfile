# tokend's image: one static binary, the certificate authorities that it trusts,
# and two directories that it may write to. No shell, no package manager.
#
#   docker build -t tokend .
#   docker run --read-only -v ./tokend:/etc/tokend:ro -v tokend:/var/lib/tokend --tmpfs /run/tokend:uid=65532,mode=0700 tokend

FROM golang:1.26 AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The same sources make the same bytes: no paths, no symbols, no build id. The
# version comes from git's tags, where .git is part of the sources.
RUN go build -trimpath -ldflags='-s -w -buildid=' -o /out/tokend ./cmd/tokend
RUN install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt
RUN install -d -m 0700 /own/run/tokend /own/var/lib/tokend

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tokend" \
      org.opencontainers.image.description="Keeps OAuth 2.0 access tokens fresh, and in the places where programs read them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /own/ /
USER 65532:65532
# Ends with 0 when the daemon answers and every token is valid, and shows them.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["/tokend", "status"]
ENTRYPOINT ["/tokend"]
CMD ["run"]
