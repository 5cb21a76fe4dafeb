// Go's net/rpc as it comes (gob, CONNECT over HTTP), with the command line and the output of `compare serve` and
// `compare drive`, which start it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const warmUp = 500 * time.Millisecond

type Args struct{ A, B int64 }

type Arith struct{}

func (Arith) Multiply(args *Args, product *int64) error {
	*product = args.A * args.B
	return nil
}

func (Arith) Echo(body []byte, answer *[]byte) error {
	*answer = body
	return nil
}

func (Arith) Wait(_ struct{}, _ *struct{}) error {
	time.Sleep(time.Millisecond)
	return nil
}

type Cpu struct {
	User   float64 `json:"user"`
	System float64 `json:"system"`
}

func used() Cpu {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	micros := func(time syscall.Timeval) float64 { return float64(time.Sec)*1e6 + float64(time.Usec) }
	return Cpu{micros(usage.Utime), micros(usage.Stime)}
}

type Sample struct {
	Calls    uint64   `json:"calls"`
	Seconds  float64  `json:"seconds"`
	Client   Cpu      `json:"client"`
	P50      *float64 `json:"p50"`
	P99      *float64 `json:"p99"`
	AllCalls uint64   `json:"all_calls"`
}

type load struct {
	connections, inFlight int
	body                  int
	wait, timed           bool
}

var cases = map[string]load{
	"one":  {connections: 1, inFlight: 1, timed: true},
	"c64":  {connections: 1, inFlight: 64},
	"c256": {connections: 1, inFlight: 256},
	"8x32": {connections: 8, inFlight: 32},
	"4kib": {connections: 1, inFlight: 32, body: 4096},
	"1mib": {connections: 1, inFlight: 4, body: 1 << 20},
	"wait": {connections: 1, inFlight: 256, wait: true},
}

func main() {
	words := os.Args[1:]
	flags := map[string]string{"--seconds": "2", "--case": "", "--runtime": "", "--listen": "127.0.0.1:0"}
	var plain []string
	for at := 0; at < len(words); at++ {
		if _, known := flags[words[at]]; known && at+1 < len(words) {
			flags[words[at]] = words[at+1]
			at++
		} else {
			plain = append(plain, words[at])
		}
	}
	switch {
	case len(plain) == 2 && plain[0] == "serve":
		serve(flags["--listen"])
	case len(plain) == 3 && plain[0] == "drive":
		seconds, err := strconv.ParseFloat(flags["--seconds"], 64)
		load, known := cases[flags["--case"]]
		if err != nil || !known {
			fail(fmt.Errorf("no case %q for so many seconds: %q", flags["--case"], flags["--seconds"]))
		}
		drive(plain[2], load, time.Duration(seconds*float64(time.Second)))
	default:
		fail(fmt.Errorf("serve NAME or drive NAME ADDRESS"))
	}
}

// Serves until its input ends, and prints its CPU time for every line of it.
func serve(address string) {
	if err := rpc.Register(Arith{}); err != nil {
		fail(err)
	}
	rpc.HandleHTTP()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	fmt.Println(listener.Addr())
	go func() { fail(http.Serve(listener, nil)) }()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		say(used())
	}
}

func drive(address string, load load, span time.Duration) {
	time.AfterFunc(warmUp+span+20*time.Second, func() { fail(fmt.Errorf("stuck")) })
	var calls atomic.Uint64
	var measuring atomic.Bool
	var mutex sync.Mutex
	var micros []float64
	for at := 0; at < load.connections; at++ {
		client, err := rpc.DialHTTP("tcp", address)
		if err != nil {
			fail(err)
		}
		for task := 0; task < load.inFlight; task++ {
			go func(b int64) {
				body := make([]byte, load.body)
				for {
					began := time.Now()
					call(client, load, body, b)
					calls.Add(1)
					if load.timed && measuring.Load() {
						took := float64(time.Since(began).Nanoseconds()) / 1e3
						mutex.Lock()
						micros = append(micros, took)
						mutex.Unlock()
					}
				}
			}(int64(task))
		}
	}
	time.Sleep(warmUp)
	fmt.Println("measuring")
	measuring.Store(true)
	cpu, before, began := used(), calls.Load(), time.Now()
	time.Sleep(span)
	seconds, all, after := time.Since(began).Seconds(), calls.Load(), used()
	sample := Sample{Calls: all - before, Seconds: seconds, AllCalls: all}
	sample.Client = Cpu{after.User - cpu.User, after.System - cpu.System}
	mutex.Lock()
	sort.Float64s(micros)
	sample.P50, sample.P99 = quantile(micros, 0.5), quantile(micros, 0.99)
	say(sample)
}

func call(client *rpc.Client, load load, body []byte, b int64) {
	var err error
	switch {
	case load.wait:
		err = client.Call("Arith.Wait", struct{}{}, &struct{}{})
	case load.body > 0:
		var answer []byte
		err = client.Call("Arith.Echo", body, &answer)
		if err == nil && len(answer) != len(body) {
			err = fmt.Errorf("the answer is no echo")
		}
	default:
		var product int64
		err = client.Call("Arith.Multiply", &Args{7, b}, &product)
		if err == nil && product != 7*b {
			err = fmt.Errorf("the answer is no product")
		}
	}
	if err != nil {
		fail(err)
	}
}

func quantile(sorted []float64, part float64) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	return &sorted[int(math.Min(float64(len(sorted))*part, float64(len(sorted)-1)))]
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
