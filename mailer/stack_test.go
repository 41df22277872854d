package mailer

import (
	"context"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// newStack is the stack of a call of the SDK, as far as the fakes need it.
func newStack() *middleware.Stack { return middleware.NewStack("fake", smithyhttp.NewStackRequest) }

// runDeserialize runs what stands nearest to the network.
func runDeserialize(ctx context.Context, stack *middleware.Stack) {
	end := middleware.HandlerFunc(func(context.Context, any) (any, middleware.Metadata, error) {
		return nil, middleware.Metadata{}, nil
	})
	_, _, _ = stack.Deserialize.HandleMiddleware(ctx, nil, end)
}
