package mailer

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ses"
	"go.uber.org/zap"

	"inreply/store"
)

func zapNop() *zap.Logger { return zap.NewNop() }

// lateRecords and lateSES take their time on both sides of what they do.
type lateRecords struct{ *late }

func (l *lateRecords) Mail(ctx context.Context, id string) (store.MailRecord, string, error) {
	l.nap()
	defer l.nap()
	return l.process.Mail(ctx, id)
}

func (l *lateRecords) CreateMail(ctx context.Context, id string, r store.MailRecord) (string, error) {
	l.nap()
	defer l.nap()
	return l.process.CreateMail(ctx, id, r)
}

func (l *lateRecords) ReplaceMail(ctx context.Context, id, etag string, r store.MailRecord) (string, error) {
	l.nap()
	defer l.nap()
	return l.process.ReplaceMail(ctx, id, etag, r)
}

type lateSES struct{ *late }

// SendRawEmail comes late to SES, but never after the caller has hung up: a
// request that was cut off on its way is not acted on.
func (l *lateSES) SendRawEmail(ctx context.Context, in *ses.SendRawEmailInput, options ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	handOver(ctx, options)
	l.nap()
	out, err := l.process.SendRawEmail(ctx, in, options...)
	l.nap()
	if err == nil && ctx.Err() != nil {
		l.mu.Lock()
		l.unanswered++
		l.mu.Unlock()
		return nil, ctx.Err()
	}
	return out, err
}
