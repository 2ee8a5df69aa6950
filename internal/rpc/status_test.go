package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
)

const secret = "password=hunter2"

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	private := errors.New(secret)
	tests := map[string]struct {
		err   error
		want  codes.Code
		retry bool
	}{
		"invalid":      {cart.InvalidField("name"), codes.InvalidArgument, false},
		"no cart":      {cart.ErrNotFound, codes.NotFound, false},
		"not allowed":  {&cart.Error{Code: cart.CodeNotAllowed, Detail: "No."}, codes.FailedPrecondition, false},
		"not active":   {&cart.Error{Code: cart.CodeNotActive, Detail: "No."}, codes.FailedPrecondition, false},
		"full":         {&cart.Error{Code: cart.CodeFull, Detail: "No."}, codes.FailedPrecondition, false},
		"unpriced":     {&cart.Error{Code: cart.CodeUnpriced, Detail: "No."}, codes.FailedPrecondition, false},
		"conflict":     {cart.ErrConflict, codes.Aborted, false},
		"overloaded":   {cart.ErrOverloaded, codes.ResourceExhausted, true},
		"rate limited": {cart.RateLimited(time.Millisecond), codes.ResourceExhausted, true},
		"unavailable":  {cart.Unavailable(private), codes.Unavailable, true},
		"unknown":      {cart.OutcomeUnknown(private), codes.Unavailable, true},
		"batch's time": {cart.Unavailable(context.DeadlineExceeded), codes.Unavailable, true},
		"shutdown":     {cart.OutcomeUnknown(context.Canceled), codes.Unavailable, true},
		"nobody":       {&cart.Error{Code: cart.CodeUnauthenticated, Detail: "Who?"}, codes.Unauthenticated, false},
		"forbidden":    {&cart.Error{Code: cart.CodeForbidden, Detail: "No."}, codes.PermissionDenied, false},
		"wrapped":      {fmt.Errorf("%s: %w", secret, cart.ErrNotFound), codes.NotFound, false},
		"refused":      {cart.Refused(private), codes.Internal, false},
		"internal":     {&cart.Error{Detail: secret}, codes.Internal, false},
		"no such code": {&cart.Error{Code: 255, Detail: secret}, codes.Internal, false},
		"untyped":      {private, codes.Internal, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, failing(tt.err), Options{}).GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
			st := status.Convert(err)
			if st.Code() != tt.want {
				t.Errorf("got %v, want %v", st.Code(), tt.want)
			}
			if strings.Contains(fmt.Sprint(st.Proto()), secret) {
				t.Errorf("the cause got out: %v", st)
			}
			if e, ok := errors.AsType[*cart.Error](tt.err); ok && tt.want != codes.Internal && st.Message() != e.Detail {
				t.Errorf("message %q, want %q", st.Message(), e.Detail)
			}
			retry := false
			for _, d := range st.Details() {
				if info, ok := d.(*errdetails.RetryInfo); ok {
					retry = info.GetRetryDelay().AsDuration() == time.Second
				}
			}
			if retry != tt.retry {
				t.Errorf("tells when to retry: %t, want %t", retry, tt.retry)
			}
		})
	}
}

// TestEndedRequests checks the statuses of failed requests whose own context has ended.
func TestEndedRequests(t *testing.T) {
	s, _ := serve(t, failing(nil), Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	tests := map[string]struct {
		ctx  context.Context
		err  error
		want codes.Code
	}{
		"cancelled":              {cancelled, cart.Unavailable(context.Canceled), codes.Canceled},
		"cancelled after begun":  {cancelled, cart.OutcomeUnknown(context.Canceled), codes.Canceled},
		"late":                   {late, cart.Unavailable(context.DeadlineExceeded), codes.DeadlineExceeded},
		"late after begun":       {late, cart.OutcomeUnknown(context.DeadlineExceeded), codes.DeadlineExceeded},
		"bare":                   {late, context.DeadlineExceeded, codes.DeadlineExceeded},
		"other failure, too":     {late, cart.ErrNotFound, codes.NotFound},
		"success is no failure":  {late, nil, codes.OK},
		"somebody else's cancel": {late, cart.Unavailable(context.Canceled), codes.Unavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := status.Code(s.toStatus(tt.ctx, "/m", tt.err)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestInternal checks that the log has the cause under the id that the client gets.
func TestInternal(t *testing.T) {
	panics := &fake{answer: func(context.Context) ([]*cart.Cart, error) { panic(secret) }}
	for name, f := range map[string]*fake{"error": failing(errors.New(secret)), "panic": panics} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c := client(t, f, Options{Logger: slog.New(requestid.LogHandler(slog.NewTextHandler(&log, nil)))})
			_, err := c.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
			st := status.Convert(err)
			if st.Code() != codes.Internal || strings.Contains(st.Message(), secret) {
				t.Fatalf("got %v", st)
			}
			_, id, found := strings.Cut(strings.TrimSuffix(st.Message(), "."), "id of this error is ")
			if !found {
				t.Fatalf("no id in %q", st.Message())
			}
			line := log.String()
			if !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "request_id="+id) || !strings.Contains(line, secret) {
				t.Errorf("logged: %s", line)
			}
			if name == "panic" && !strings.Contains(line, "status_test.go") {
				t.Errorf("no stack in: %s", line)
			}
		})
	}
}

func TestDebugLog(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := client(t, always(sample()), Options{Logger: logger})
	_, err := c.UpsertCart(t.Context(), &cartv1.UpsertCartRequest{CompanyId: 5, Cookie: "cookie-of-somebody"})
	if err != nil {
		t.Fatal(err)
	}
	line := log.String()
	for _, want := range []string{"level=DEBUG", "method=" + cartv1.CartService_UpsertCart_FullMethodName, "code=OK", "duration="} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in: %s", want, line)
		}
	}
	if strings.Contains(line, "cookie-of-somebody") || strings.Count(line, "\n") != 1 {
		t.Errorf("logged: %s", line)
	}
}
