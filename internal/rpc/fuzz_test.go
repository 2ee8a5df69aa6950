package rpc

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// Any bytes sent to any method are served or refused; none cause an internal error.
func FuzzMessage(f *testing.F) {
	methods := cartv1.File_sellio_cart_v1_cart_proto.Services().ByName("CartService").Methods()
	for i := range methods.Len() {
		whole, err := proto.Marshal(filled(methods.Get(i).Input()))
		if err != nil {
			f.Fatal(err)
		}
		for _, raw := range [][]byte{whole, whole[:len(whole)-1], append(whole, 0xff), nil, {0x0a, 2, 0xc3, 0x28}, {0xff, 0xff}} {
			f.Add(uint8(i), raw)
		}
	}
	_, conn := serve(f, storetest.Ruled{Cart: sample}, Options{MergePolicy: cart.MergeMax})
	raw := grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2(protocodec.Name)})
	expected := []codes.Code{codes.OK, codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.ResourceExhausted, codes.Aborted}
	f.Fuzz(func(t *testing.T, index uint8, message []byte) {
		m := methods.Get(int(index) % methods.Len())
		name := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
		err := conn.Invoke(t.Context(), name, message, dynamicpb.NewMessage(m.Output()), raw)
		if !slices.Contains(expected, status.Code(err)) {
			t.Errorf("%s of %x: %v", name, message, err)
		}
	})
}

// filled returns a message with something in every field.
func filled(d protoreflect.MessageDescriptor) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch v := something(f); {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("1").MapKey(), protoreflect.ValueOfString("1"))
		case f.IsList():
			m.Mutable(f).List().Append(v)
		default:
			m.Set(f, v)
		}
	}
	return m
}

func something(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("1")
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.MessageKind:
		return protoreflect.ValueOfMessage(filled(f.Message()))
	default:
		return protoreflect.ValueOfInt64(1)
	}
}
