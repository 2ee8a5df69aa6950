package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
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
	cart.CodeInvalid:    codes.InvalidArgument,
	cart.CodeNotFound:   codes.NotFound,
	cart.CodeNotAllowed: codes.FailedPrecondition,
	cart.CodeNotActive:  codes.FailedPrecondition,
	cart.CodeFull:       codes.FailedPrecondition,
	cart.CodeUnpriced:   codes.FailedPrecondition,
	cart.CodeConflict:   codes.Aborted,

	cart.CodeVersionMismatch:   codes.Aborted,
	cart.CodeQuantityLimit:     codes.FailedPrecondition,
	cart.CodeLocked:            codes.FailedPrecondition,
	cart.CodeNotLocked:         codes.FailedPrecondition,
	cart.CodeAlreadyCheckedOut: codes.FailedPrecondition,
	cart.CodeKeyReused:         codes.InvalidArgument,
	cart.CodeKeyMissing:        codes.InvalidArgument,

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
	grpcCode, ok := statusCodes[e.Code]
	if !ok {
		return s.internal(ctx, method, err)
	}
	st, failed := status.New(grpcCode, e.Detail).WithDetails(details(e, grpcCode)...)
	if failed != nil {
		return s.internal(ctx, method, errors.Join(err, failed))
	}
	return st.Err()
}

// details returns the machine-readable details: the invalid fields, when to retry, the name of the failure, and the carts that
// stand in the way.
func details(e *cart.Error, c codes.Code) []protoadapt.MessageV1 {
	if len(e.Obstacles) > 0 {
		list := make([]protoadapt.MessageV1, len(e.Obstacles))
		for i, o := range e.Obstacles {
			list[i] = obstacle(o)
		}
		return list
	}
	if reason := reasonOf(e.Code); reason != "" {
		return []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: metadataOf(e)}}
	}
	switch c {
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

// errorDomain is the domain of all errors with a reason.
const errorDomain = "sellio-cart"

// reasonOf returns the name of a failure as reasons are written, "" if it has none.
func reasonOf(c cart.Code) string {
	return strings.ToUpper(strings.ReplaceAll(c.Name(), "-", "_"))
}

// metadataOf describes the cart that the failure is about.
func metadataOf(e *cart.Error) map[string]string {
	c := e.State
	switch {
	case c == nil:
		return nil
	case e.Code == cart.CodeVersionMismatch:
		return map[string]string{"version": strconv.FormatInt(c.Version, 10)}
	}
	m := make(map[string]string)
	if c.Reference != "" {
		m["reference"] = c.Reference
	}
	if !c.LockedUntil.IsZero() {
		m["locked_until"] = timestamp(c.LockedUntil)
	}
	return m
}

// obstacle describes a cart that stands in the way.
func obstacle(o cart.Obstacle) *errdetails.ErrorInfo {
	m := map[string]string{"id": strconv.FormatInt(o.ID, 10), "status": code.Code(statusCodes[o.Err.Code]).String()}
	if o.State != nil {
		m["version"] = strconv.FormatInt(o.State.Version, 10)
	}
	reason := reasonOf(o.Err.Code)
	if reason == "" {
		reason = "CART_IN_THE_WAY"
	}
	return &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: m}
}

// internal logs a bug, and returns a status that shows nothing but the request's id, which the log has too.
func (s *Server) internal(ctx context.Context, method string, err error, more ...slog.Attr) error {
	s.log.LogAttrs(ctx, slog.LevelError, "A gRPC request failed.",
		append([]slog.Attr{slog.String("method", method), slog.Any("error", err)}, more...)...)
	return status.Error(codes.Internal, "Something went wrong in the service. The id of this error is "+requestid.Of(ctx)+".")
}
