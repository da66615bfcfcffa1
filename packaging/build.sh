#!/usr/bin/env bash
# Makes the packages: static binaries, debs and rpms for amd64 and arm64, a list of
# what is in them (CycloneDX) and their checksums, in dist/. The same sources make
# the same bytes.
#
#   packaging/build.sh             all of it
#   ARCHES=amd64 FORMATS=deb packaging/build.sh
#
# VERSION is the version without "v": by default that of git's last tag and what
# came after it, or 0.0.0 with the commit where there is no tag.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

arches=${ARCHES:-amd64 arm64}
formats=${FORMATS:-deb rpm}
dist=${DIST:-dist}
export GOTOOLCHAIN=local GOWORK=off GOFLAGS= CGO_ENABLED=0

version() {
  local tag
  if tag=$(git describe --tags --match 'v[0-9]*' --abbrev=0 2>/dev/null); then
    local ahead
    ahead=$(git rev-list --count "$tag..HEAD")
    [ "$ahead" -eq 0 ] && echo "${tag#v}" || echo "${tag#v}+$ahead.g$(git rev-parse --short=12 HEAD)"
  else
    echo "0.0.0+$(git rev-list --count HEAD).g$(git rev-parse --short=12 HEAD)"
  fi
}

VERSION=${VERSION:-$(version)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH

rm -rf "$dist"
mkdir -p "$dist"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nfpm=$(go -C packaging/tools tool -n nfpm)

# What is the same on every machine is made by a tokend of this one.
go build -buildvcs=auto -trimpath -ldflags '-s -w -buildid=' -o "$work/tokend" ./cmd/tokend
mkdir -p "$work/man" "$work/completion"
"$work/tokend" man "$work/man"
for shell in bash zsh fish; do
  "$work/tokend" completion "$shell" > "$work/completion/tokend.$shell"
done
gzip -9 --no-name "$work"/man/*.1
printf 'tokend (%s-1) unstable; urgency=medium\n\n  * See /usr/share/doc/tokend/README.md and the changelog of the project.\n\n -- tokend maintainers <maintainers@tokend-project.example>  %s\n' \
  "$VERSION" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9 --no-name > "$work/changelog.Debian.gz"

for arch in $arches; do
  stage=$work/$arch
  mkdir -p "$stage"
  cp -r "$work/man" "$work/completion" "$work/changelog.Debian.gz" "$stage/"
  GOOS=linux GOARCH=$arch go build -buildvcs=auto -trimpath -ldflags '-s -w -buildid=' -o "$stage/tokend" ./cmd/tokend
  go run ./packaging/sbom -version "$VERSION" "$stage/tokend" > "$stage/sbom.cdx.json"
  find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  install -m 0755 "$stage/tokend" "$dist/tokend-$VERSION-linux-$arch"
  install -m 0644 "$stage/sbom.cdx.json" "$dist/tokend-$VERSION-linux-$arch.cdx.json"
  for format in $formats; do
    units=/usr/lib/systemd/system zsh=/usr/share/zsh/site-functions
    if [ "$format" = deb ]; then
      units=/lib/systemd/system zsh=/usr/share/zsh/vendor-completions
    fi
    ARCH=$arch STAGE=$stage UNITS=$units ZSH=$zsh "$nfpm" package --config packaging/nfpm.yaml --packager "$format" --target "$dist/"
  done
done
(cd "$dist" && sha256sum -- * > "$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
