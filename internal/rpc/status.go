package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
)

// statusCodes maps the errors of the domain. Any other error is a bug: INTERNAL.
var statusCodes = map[cart.Code]codes.Code{
	cart.CodeInvalid:        codes.InvalidArgument,
	cart.CodeNotFound:       codes.NotFound,
	cart.CodeNotAllowed:     codes.FailedPrecondition,
	cart.CodeNotActive:      codes.FailedPrecondition,
	cart.CodeFull:           codes.FailedPrecondition,
	cart.CodeUnpriced:       codes.FailedPrecondition,
	cart.CodeConflict:       codes.Aborted,
	cart.CodeOverloaded:     codes.ResourceExhausted,
	cart.CodeUnavailable:    codes.Unavailable,
	cart.CodeOutcomeUnknown: codes.Unavailable,

	cart.CodeUnauthenticated: codes.Unauthenticated,
	cart.CodeForbidden:       codes.PermissionDenied,
	cart.CodeRateLimited:     codes.ResourceExhausted,
}

// retryAfter is how long a client should wait, at least, before it repeats a request that was not served.
const retryAfter = time.Second

// toStatus returns the status that answers a failed request, or nil for nil. Ctx is the request's. The status shows
// clients nothing private.
func (s *Server) toStatus(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	// Only if the client cancelled or its own deadline passed. If the service's timeout ended ctx, that is an outage.
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) && !errors.Is(context.Cause(ctx), errTimeout) {
		return status.FromContextError(ended).Err()
	}
	e, ok := errors.AsType[*cart.Error](err)
	if !ok {
		if _, ok := status.FromError(err); ok {
			return err // from the library's services, or made in this package
		}
		return s.internal(ctx, method, err)
	}
	code, ok := statusCodes[e.Code]
	if !ok {
		return s.internal(ctx, method, err)
	}
	st, failed := status.New(code, e.Detail).WithDetails(details(e, code)...)
	if failed != nil {
		return s.internal(ctx, method, errors.Join(err, failed))
	}
	return st.Err()
}

// details returns the machine-readable details: the invalid fields, or when to retry.
func details(e *cart.Error, code codes.Code) []protoadapt.MessageV1 {
	switch code {
	case codes.InvalidArgument:
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Detail})
		}
		return []protoadapt.MessageV1{bad}
	case codes.ResourceExhausted, codes.Unavailable:
		return []protoadapt.MessageV1{&errdetails.RetryInfo{RetryDelay: durationpb.New(max(retryAfter, e.Wait))}}
	default:
		return nil
	}
}

// internal logs a bug, and returns a status that shows nothing but the request's id, which the log has too.
func (s *Server) internal(ctx context.Context, method string, err error, more ...slog.Attr) error {
	s.log.LogAttrs(ctx, slog.LevelError, "A gRPC request failed.",
		append([]slog.Attr{slog.String("method", method), slog.Any("error", err)}, more...)...)
	return status.Error(codes.Internal, "Something went wrong in the service. The id of this error is "+requestid.Of(ctx)+".")
}
