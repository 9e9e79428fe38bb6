// Package signing signs gRPC calls to a Lanyard hub: AWS Signature Version 4, as service `lanyard`.
package signing

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Signer says whose calls they are, and for which hub: Explain.Hub, which needs no signature, tells its id and region.
type Signer struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Region, HubID                              string
	Authority                                  string // host:port, as the connection addresses it
}

// Metadata is what signs one message to one method, such as /lanyard.mapping.v1.Clusters/ListClusters, for five minutes.
func (s Signer) Metadata(method string, message []byte, now time.Time) metadata.MD {
	at, digest := now.UTC().Format("20060102T150405Z"), sum(message)
	headers := [][2]string{{"host", s.Authority}, {"x-amz-content-sha256", digest}, {"x-amz-date", at}}
	if s.SessionToken != "" {
		headers = append(headers, [2]string{"x-amz-security-token", s.SessionToken})
	}
	// In the order of the alphabet, as they have to stand.
	headers = append(headers, [2]string{"x-lanyard-hub-id", s.HubID}, [2]string{"x-lanyard-nonce", rand.Text()})
	signedHeaders, lines, md := "", "", metadata.MD{}
	for _, header := range headers {
		signedHeaders += ";" + header[0]
		lines += header[0] + ":" + header[1] + "\n"
		if header[0] != "host" { // gRPC sends it by itself.
			md.Set(header[0], header[1])
		}
	}
	signedHeaders = signedHeaders[1:]
	request := strings.Join([]string{"POST", method, "", lines, signedHeaders, digest}, "\n")
	scope := at[:8] + "/" + s.Region + "/lanyard/aws4_request"
	text := strings.Join([]string{"AWS4-HMAC-SHA256", at, scope, sum([]byte(request))}, "\n")
	key := []byte("AWS4" + s.SecretAccessKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	md.Set("authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		s.AccessKeyID, scope, signedHeaders, mac(key, text)))
	return md
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func mac(key []byte, text string) []byte {
	hash := hmac.New(sha256.New, key)
	hash.Write([]byte(text))
	return hash.Sum(nil)
}

// Call is a signed call: send it as often as the network makes it necessary.
type Call struct {
	method  string
	message []byte
	md      metadata.MD
}

// Sign signs a request to a method.
func (s Signer) Sign(method string, request proto.Message) (Call, error) {
	message, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	return Call{method, message, s.Metadata(method, message, time.Now())}, err
}

// Send sends a signed call.
func (c Call) Send(ctx context.Context, conn *grpc.ClientConn, reply proto.Message) error {
	return conn.Invoke(metadata.NewOutgoingContext(ctx, c.md), c.method, c.message, reply, grpc.ForceCodec(asSigned{}))
}

// Unary signs every call of a connection: grpc.WithUnaryInterceptor(signer.Unary).
func (s Signer) Unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	call, err := s.Sign(method, request.(proto.Message))
	if err != nil {
		return err
	}
	ctx = metadata.NewOutgoingContext(ctx, call.md)
	return invoke(ctx, method, call.message, reply, conn, append(options, grpc.ForceCodec(asSigned{}))...)
}

// asSigned sends what was signed, byte for byte.
type asSigned struct{}

func (asSigned) Name() string                        { return "proto" }
func (asSigned) Marshal(message any) ([]byte, error) { return message.([]byte), nil }
func (asSigned) Unmarshal(data []byte, reply any) error {
	return proto.Unmarshal(data, reply.(proto.Message))
}
