// A program that does with a hub what others would: finds it, signs, changes an entry, asks, watches, and reads errors. Prints
// what it saw, as JSON.
//
// The packages below lanyard.test/consumer/lanyard are generated from the protos (`buf generate`, buf.gen.yaml).
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	authzv1 "lanyard.test/consumer/lanyard/authz/v1"
	callv1 "lanyard.test/consumer/lanyard/call/v1"
	gatewayv1 "lanyard.test/consumer/lanyard/gateway/v1"
	mappingv1 "lanyard.test/consumer/lanyard/mapping/v1"
	"lanyard.test/consumer/signing"
)

const view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"

// own is metadata of the program's own, beside what signs its calls.
const own = "x-consumer"

// ready is what of a ready-file is needed to reach a hub.
type ready struct {
	GRPC string `json:"grpc"`
	CA   string `json:"ca"`
}

type consumer struct {
	cluster, principal string
	hub                *gatewayv1.HubInfo
	signer             signing.Signer
	plain, signed      *grpc.ClientConn
}

type report struct {
	HubID      string             `json:"hub_id"`
	ClusterUID string             `json:"cluster_uid"`
	EntryID    string             `json:"entry_id"`
	Revisions  []uint64           `json:"revisions"`
	Principals []string           `json:"principals"`
	Verdicts   []string           `json:"verdicts"`
	Watched    string             `json:"watched"`
	Errors     map[string]refusal `json:"errors"`
}

func main() {
	readyFile := flag.String("ready-file", "", "what `lanyard serve` wrote")
	cluster := flag.String("cluster", "", "the cluster's id")
	principal := flag.String("principal", "", "whose entry is made")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, *readyFile, *cluster, *principal); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, readyFile, cluster, principal string) error {
	c, err := connect(ctx, readyFile)
	if err != nil {
		return err
	}
	defer c.plain.Close()
	defer c.signed.Close()
	c.cluster, c.principal = cluster, principal
	seen, err := c.work(metadata.AppendToOutgoingContext(ctx, own, "go"))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(seen)
}

func connect(ctx context.Context, readyFile string) (*consumer, error) {
	text, err := os.ReadFile(readyFile)
	if err != nil {
		return nil, err
	}
	var at ready
	if err := json.Unmarshal(text, &at); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(at.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", at.CA)
	}
	authority := strings.TrimPrefix(at.GRPC, "https://")
	trust := grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots}))
	plain, err := grpc.NewClient(authority, trust)
	if err != nil {
		return nil, err
	}
	// The one call that needs no signature: signing needs its answer.
	hub, err := gatewayv1.NewExplainClient(plain).Hub(ctx, &emptypb.Empty{})
	if err != nil {
		return nil, err
	}
	signer := signing.Signer{
		AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		Region:          hub.Region,
		HubID:           hub.HubId,
		Authority:       authority,
	}
	signed, err := grpc.NewClient(authority, trust,
		grpc.WithUnaryInterceptor(signer.Unary), grpc.WithChainUnaryInterceptor(unary),
		grpc.WithStreamInterceptor(signer.Stream), grpc.WithChainStreamInterceptor(stream))
	return &consumer{hub: hub, signer: signer, plain: plain, signed: signed}, err
}

// unary sees a call as it is sent.
func unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption) error {
	if err := bearsBoth(ctx); err != nil {
		return err
	}
	return invoke(ctx, method, request, reply, conn, options...)
}

// stream sees a call that is answered by a stream as it is sent.
func stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, begin grpc.Streamer,
	options ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := bearsBoth(ctx); err != nil {
		return nil, err
	}
	return begin(ctx, desc, conn, method, options...)
}

// bearsBoth refuses a call that lacks the program's own metadata or what signs it.
func bearsBoth(ctx context.Context) error {
	md, _ := metadata.FromOutgoingContext(ctx)
	if len(md.Get(own)) != 1 || len(md.Get("authorization")) != 1 {
		return fmt.Errorf("the call is sent with %d of %s and %d signatures", len(md.Get(own)), own, len(md.Get("authorization")))
	}
	return nil
}

func (c *consumer) work(ctx context.Context) (*report, error) {
	request := &mappingv1.DescribeClusterRequest{Cluster: c.cluster}
	described, err := mappingv1.NewClustersClient(c.signed).DescribeCluster(ctx, request)
	if err != nil {
		return nil, err
	}
	entry, revisions, err := c.createEntry(ctx)
	if err != nil {
		return nil, err
	}
	scope := &mappingv1.AccessScope_Namespaces{Names: []string{"team-a"}}
	_, err = mappingv1.NewEntriesClient(c.signed).AssociateAccessPolicy(ctx, &mappingv1.AssociateAccessPolicyRequest{
		Cluster:      c.cluster,
		PrincipalArn: c.principal,
		PolicyArn:    view,
		Scope:        &mappingv1.AccessScope{Scope: &mappingv1.AccessScope_Namespaces_{Namespaces: scope}},
	})
	if err != nil {
		return nil, err
	}
	principals, err := c.principals(ctx)
	if err != nil {
		return nil, err
	}
	verdicts, err := c.verdicts(ctx, described.Uid, entry)
	if err != nil {
		return nil, err
	}
	watched, err := c.watched(ctx)
	if err != nil {
		return nil, err
	}
	refusals, err := c.errors(ctx)
	return &report{c.hub.HubId, described.Uid, entry.Id, revisions, principals, verdicts, watched, refusals}, err
}

// createEntry makes the entry and sends the very same call again, as a program does that got no answer: it is made once.
func (c *consumer) createEntry(ctx context.Context) (*mappingv1.AccessEntry, []uint64, error) {
	call, err := c.signer.Sign(mappingv1.Entries_CreateAccessEntry_FullMethodName, &mappingv1.CreateAccessEntryRequest{
		Mutation:     &callv1.Mutation{Reason: "the consumer's test"},
		Cluster:      c.cluster,
		PrincipalArn: c.principal,
		Groups:       []string{"devs"},
		Tags:         map[string]string{"team": "a", "made-by": "consumer"},
	})
	if err != nil {
		return nil, nil, err
	}
	var first, again mappingv1.AccessEntryMutated
	if err := call.Send(ctx, c.plain, &first); err != nil {
		return nil, nil, err
	}
	if err := call.Send(ctx, c.plain, &again); err != nil {
		return nil, nil, err
	}
	if !proto.Equal(first.Entry, again.Entry) {
		return nil, nil, fmt.Errorf("%v is not %v", &first, &again)
	}
	return first.Entry.Entry, []uint64{first.Mutated.Revision, again.Mutated.Revision}, nil
}

// principals reads all entries, a page of two at a time.
func (c *consumer) principals(ctx context.Context) ([]string, error) {
	var principals []string
	query := &callv1.PageQuery{ItemsMax: 2}
	for {
		request := &mappingv1.ListAccessEntriesRequest{Cluster: c.cluster, Page: query}
		page, err := mappingv1.NewEntriesClient(c.signed).ListAccessEntries(ctx, request)
		if err != nil {
			return nil, err
		}
		if len(page.Items) > 2 {
			return nil, fmt.Errorf("a page of two has %d", len(page.Items))
		}
		for _, item := range page.Items {
			principals = append(principals, item.Entry.PrincipalArn)
		}
		if page.NextToken == nil {
			return principals, nil
		}
		query.Token = *page.NextToken
	}
}

// verdicts asks three questions about the bearer of the entry, in one call.
func (c *consumer) verdicts(ctx context.Context, uid string, entry *mappingv1.AccessEntry) ([]string, error) {
	review := func(verb, namespace string) *authzv1.Review {
		resource := &authzv1.ResourceAttributes{Verb: verb, Resource: "pods", Version: "v1", Namespace: namespace}
		return &authzv1.Review{
			ClusterUid: uid,
			User:       &mappingv1.UserInfo{Username: entry.Username, Groups: entry.Groups},
			Attributes: &authzv1.Attributes{Attributes: &authzv1.Attributes_Resource{Resource: resource}},
			EntryId:    &entry.Id,
		}
	}
	reviews := []*authzv1.Review{review("get", "team-a"), review("delete", "team-a"), review("get", "team-b")}
	request := &authzv1.AuthorizeBatchRequest{Reviews: reviews}
	answer, err := authzv1.NewAuthorizeClient(c.signed).AuthorizeBatch(ctx, request)
	if err != nil {
		return nil, err
	}
	var verdicts []string
	for _, decision := range answer.Decisions {
		verdicts = append(verdicts, decision.Verdict.String())
	}
	return verdicts, nil
}

// watched is the first event of a watch on the entries, which ends with it.
func (c *consumer) watched(ctx context.Context) (string, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	request := &mappingv1.WatchAccessEntriesRequest{Cluster: c.cluster}
	watch, err := mappingv1.NewEntriesClient(c.signed).WatchAccessEntries(ctx, request)
	if err != nil {
		return "", err
	}
	event, err := watch.Recv()
	if err != nil {
		return "", err
	}
	return event.Kind.String(), nil
}

func (c *consumer) errors(ctx context.Context) (map[string]refusal, error) {
	signed, unsigned := mappingv1.NewEntriesClient(c.signed), mappingv1.NewEntriesClient(c.plain)
	create := func(principal string, groups ...string) error {
		request := &mappingv1.CreateAccessEntryRequest{Cluster: c.cluster, PrincipalArn: principal, Groups: groups}
		_, err := signed.CreateAccessEntry(ctx, request)
		return err
	}
	_, open := unsigned.ListAccessEntries(ctx, &mappingv1.ListAccessEntriesRequest{Cluster: c.cluster})
	unread := &mappingv1.DescribeClusterRequest{Cluster: "no/cluster"}
	_, malformed := mappingv1.NewClustersClient(c.signed).DescribeCluster(ctx, unread)
	refusals := map[string]refusal{}
	for name, err := range map[string]error{
		"exists":    create(c.principal),
		"field":     create(c.principal+"-other", "system:masters"),
		"malformed": malformed,
		"unsigned":  open,
	} {
		if err == nil {
			return nil, errors.New(name + " was not refused")
		}
		refusals[name] = refusalOf(err)
	}
	return refusals, nil
}

// refusal is the code of an error, and what its details say.
type refusal struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Domain string `json:"domain"`
	Kind   string `json:"kind"`
	Field  string `json:"field,omitempty"`
}

// names are the codes as the gRPC specification writes them.
var names = map[codes.Code]string{
	codes.AlreadyExists:   "ALREADY_EXISTS",
	codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.Unauthenticated: "UNAUTHENTICATED",
}

func refusalOf(err error) refusal {
	told := refusal{Code: names[status.Code(err)]}
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			told.Reason, told.Domain, told.Kind = detail.Reason, detail.Domain, detail.Metadata["kind"]
		case *errdetails.BadRequest:
			told.Field = detail.FieldViolations[0].Field
		}
	}
	return told
}
