module github.com/hashicorp/go-kms-wrapping/wrappers/alicloudkms/v2

go 1.25

require github.com/hashicorp/go-kms-wrapping/v2 v2.0.8

require (
	github.com/golang/protobuf v1.5.0 // indirect
	github.com/hashicorp/go-uuid v1.0.2 // indirect
	google.golang.org/protobuf v1.27.1 // indirect
)
