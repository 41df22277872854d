# The daemon alone: a static binary, the roots it trusts, and its settings.
#
#   docker build --build-arg VERSION=1.2.3 -t inreply .
#   docker run --read-only inreply
#
# For Fargate on ARM, from any machine, without emulation:
#
#   docker build --platform linux/arm64 --build-arg VERSION=1.2.3 -t inreply:1.2.3 .
#
# Every setting of /etc/inreply/inreply.yaml can be overridden by a variable, such
# as INREPLY_CONSUMER_QUEUE. ECS ignores a HEALTHCHECK that stands here; say it in
# the task definition: /inreply --config /etc/inreply/inreply.yaml --healthcheck
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /inreply ./cmd/inreply

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /inreply /inreply
COPY configs/fargate.yaml /etc/inreply/inreply.yaml
USER 65532:65532
ENTRYPOINT ["/inreply"]
CMD ["--config", "/etc/inreply/inreply.yaml"]
