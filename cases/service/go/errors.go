package service

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// Violation is a field that cannot be taken, and why.
type Violation struct {
	// Field is its path from the request.
	Field string
	// Reason is the reason of the error if this is the first violation.
	Reason string
	// Description is for people.
	Description string
}

// Error is an error of a domain with a fixed reason (AIP-193).
func Error(code codes.Code, domain, reason, message string) error {
	return withDetails(code, message, &errdetails.ErrorInfo{Reason: reason, Domain: domain})
}

// Invalid is INVALID_ARGUMENT: the first violation names the reason, all are listed. Without
// violations it is nil.
func Invalid(domain string, violations []Violation) error {
	if len(violations) == 0 {
		return nil
	}
	first := violations[0]
	bad := &errdetails.BadRequest{}
	for _, violation := range violations {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       violation.Field,
			Description: violation.Description,
		})
	}
	info := &errdetails.ErrorInfo{Reason: first.Reason, Domain: domain}
	return withDetails(codes.InvalidArgument, first.Field+": "+first.Description, info, bad)
}

func withDetails(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	plain := status.New(code, message)
	full, err := plain.WithDetails(details...)
	if err != nil {
		return plain.Err()
	}
	return full.Err()
}
