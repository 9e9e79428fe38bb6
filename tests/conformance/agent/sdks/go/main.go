// What the AWS SDK for Go finds where nobody tells it of credentials but the variables of container credentials: its default chain.
// Prints them as JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	found, err := loaded.Credentials.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	told := map[string]any{
		"accessKeyId":     found.AccessKeyID,
		"secretAccessKey": found.SecretAccessKey,
		"sessionToken":    found.SessionToken,
		"expiration":      found.Expires,
		"accountId":       found.AccountID,
		"source":          found.Source,
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		log.Fatal(err)
	}
}
