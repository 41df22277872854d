package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"inreply"
	"inreply/local/ses"
)

// runReceive plays the part of SES that emulators lack: it puts SES's header on top
// of each mail and stores it where the receipt rule would, so that S3 announces it.
func (a app) runReceive(ctx context.Context, files []string) error {
	if a.config == "" || len(files) == 0 {
		return errors.New("--receive needs --config and the MAIL files: inreply --config configs/localstack.yaml --receive samples/question.eml")
	}
	verdicts, err := parseVerdicts(a.verdicts)
	if err != nil {
		return err
	}
	mails, err := readMails(files)
	if err != nil {
		return err
	}
	config, clients, err := a.operator(ctx)
	if err != nil {
		return err
	}
	if err := inreply.RefuseAWS(clients); err != nil {
		return err
	}
	at := inreply.ResourcesOf(config)
	door := ses.New(ses.Config{Region: clients.SES.Options().Region})
	for _, m := range mails {
		received := door.Receive(envelope(m, config.Mailer.From), m.raw, verdicts)
		key := at.Prefix + received.ID
		if _, err := clients.S3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &at.Bucket, Key: &key, Body: bytes.NewReader(received.Raw), ContentType: aws.String("message/rfc822"),
		}); err != nil {
			return fmt.Errorf("%s: store it as s3://%s/%s: %w", m.name, at.Bucket, key, err)
		}
		fmt.Fprintf(a.stdout, "stored  s3://%s/%s  %s\n", at.Bucket, key, m.name)
	}
	return nil
}
