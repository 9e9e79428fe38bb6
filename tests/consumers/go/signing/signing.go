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
	return conn.Invoke(c.beside(ctx), c.method, c.message, reply, grpc.ForceCodec(asSigned{}))
}

// beside puts what signs the call beside the caller's own metadata.
func (c Call) beside(ctx context.Context) context.Context {
	own, _ := metadata.FromOutgoingContext(ctx)
	return metadata.NewOutgoingContext(ctx, metadata.Join(own, c.md))
}

// Unary signs every call of a connection: grpc.WithUnaryInterceptor(signer.Unary).
func (s Signer) Unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	call, err := s.Sign(method, request.(proto.Message))
	if err != nil {
		return err
	}
	return invoke(call.beside(ctx), method, call.message, reply, conn, append(options, grpc.ForceCodec(asSigned{}))...)
}

// Stream signs every call of a connection that is answered by a stream: grpc.WithStreamInterceptor(signer.Stream).
func (s Signer) Stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	begin grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	if desc.ClientStreams {
		return nil, fmt.Errorf("%s takes a stream of messages, and a signature is of one", method)
	}
	return &signedStream{begin: func(request any) (grpc.ClientStream, error) {
		call, err := s.Sign(method, request.(proto.Message))
		if err != nil {
			return nil, err
		}
		stream, err := begin(call.beside(ctx), desc, conn, method, append(options, grpc.ForceCodec(asSigned{}))...)
		if err != nil {
			return nil, err
		}
		return stream, stream.SendMsg(call.message)
	}}, nil
}

// signedStream begins with its one message, which is what generated code does first: the call's head signs it.
type signedStream struct {
	grpc.ClientStream
	begin func(request any) (grpc.ClientStream, error)
}

func (s *signedStream) SendMsg(request any) (err error) {
	s.ClientStream, err = s.begin(request)
	return err
}

// asSigned sends what was signed, byte for byte.
type asSigned struct{}

func (asSigned) Name() string                        { return "proto" }
func (asSigned) Marshal(message any) ([]byte, error) { return message.([]byte), nil }
func (asSigned) Unmarshal(data []byte, reply any) error {
	return proto.Unmarshal(data, reply.(proto.Message))
}
