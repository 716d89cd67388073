package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readBody decodes the body of a request, which has to be one JSON object with
// known fields and values that their tags allow.
func readBody(r *http.Request, v any) error {
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(v); err != nil {
		return badBody(err)
	}
	if _, err := in.Token(); err != io.EOF {
		return &problemError{http.StatusBadRequest, "the body has more than one JSON object"}
	}
	return verify(reflect.ValueOf(v).Elem(), "")
}

func badBody(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problemError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d octets", maxBody)}
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text = fmt.Sprintf("%q is not what it has to be", kind.Field)
	}
	if errors.Is(err, io.EOF) {
		text = "it is empty"
	}
	return &problemError{http.StatusBadRequest, "the body is not what is asked for: " + text}
}

// noQuery refuses parameters.
func noQuery(r *http.Request) error { return readQuery(r, &struct{}{}) }

// readQuery decodes the parameters of a request into a struct, by the names that
// its fields have in JSON.
func readQuery(r *http.Request, v any) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &problemError{http.StatusBadRequest, "the query cannot be read"}
	}
	into := reflect.ValueOf(v).Elem()
	for _, f := range fields(into.Type()) {
		if given, ok := values[f.name]; ok {
			if err := setParameter(into.FieldByIndex(f.Index), given); err != nil {
				return &problemError{http.StatusBadRequest, fmt.Sprintf("parameter %s: %v", f.name, err)}
			}
			delete(values, f.name)
		}
	}
	for name := range values {
		return &problemError{http.StatusBadRequest, fmt.Sprintf("there is no parameter %q", name)}
	}
	return verify(into, "")
}

var timeType = reflect.TypeFor[time.Time]()

func setParameter(v reflect.Value, given []string) error {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(given), len(given)))
		for i, text := range given {
			v.Index(i).SetString(text)
		}
		return nil
	}
	if len(given) != 1 {
		return errors.New("is there more than once")
	}
	switch {
	case v.Type() == timeType:
		at, err := time.Parse(time.RFC3339, given[0])
		if err != nil {
			return errors.New("is no time such as 2026-11-25T12:00:00Z")
		}
		v.Set(reflect.ValueOf(at))
	case v.CanInt():
		n, err := strconv.ParseInt(given[0], 10, v.Type().Bits())
		if err != nil || n < 0 {
			return errors.New("is no whole number")
		}
		v.SetInt(n)
	default:
		v.SetString(given[0])
	}
	return nil
}

// A field is one of a type of the API, with its name in JSON.
type field struct {
	reflect.StructField
	name string
}

// fields are those of a struct, with those of structs that it embeds.
func fields(t reflect.Type) (all []field) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			all = append(all, field{f, name})
		}
	}
	return all
}

// verify holds the tags `enum` and `max` of what came in.
func verify(v reflect.Value, at string) error {
	if v.Kind() != reflect.Struct || v.Type() == timeType {
		return nil
	}
	for _, f := range fields(v.Type()) {
		value, name := v.FieldByIndex(f.Index), at+f.name
		if err := verifyField(f, value, name); err != nil {
			return err
		}
		if err := verify(value, name+"."); err != nil {
			return err
		}
	}
	return nil
}

func verifyField(f field, v reflect.Value, name string) error {
	refuse := func(format string, args ...any) error {
		return &problemError{http.StatusUnprocessableEntity, name + " " + fmt.Sprintf(format, args...)}
	}
	if words := f.Tag.Get("enum"); words != "" && v.Kind() == reflect.String && v.Len() > 0 {
		if known := strings.Split(words, ","); !slices.Contains(known, v.String()) {
			return refuse("is none of %s", strings.Join(known, ", "))
		}
	}
	switch most, _ := strconv.Atoi(f.Tag.Get("max")); {
	case v.CanInt() && v.Int() < 0:
		return refuse("is less than 0")
	case most == 0:
	case v.Kind() == reflect.Int && v.Int() > int64(most):
		return refuse("is over %d", most)
	case v.Kind() == reflect.Slice && v.Len() > most:
		return refuse("has over %d values", most)
	case v.Kind() == reflect.String && v.Len() > most:
		return refuse("has over %d octets", most)
	}
	return nil
}
