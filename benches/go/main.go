// Go's net/rpc as it comes (gob, CONNECT over HTTP), with the command lines and the output of `compare serve`,
// `compare drive` and `idle hold`, in whose place it is started.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"runtime"
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
	// A connection for each call; as many at once as there are connections.
	connect bool
}

var cases = map[string]load{
	"one":  {connections: 1, inFlight: 1, timed: true},
	"c64":  {connections: 1, inFlight: 64},
	"c256": {connections: 1, inFlight: 256},
	"8x32": {connections: 8, inFlight: 32},
	"4kib": {connections: 1, inFlight: 32, body: 4096},
	"1mib": {connections: 1, inFlight: 4, body: 1 << 20},
	"wait": {connections: 1, inFlight: 256, wait: true},

	"connect": {connections: 8, connect: true},
}

func main() {
	words := os.Args[1:]
	flags := map[string]string{"--seconds": "2", "--case": "", "--runtime": "", "--listen": "127.0.0.1:0", "--connections": "9000"}
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
	case len(plain) == 3 && plain[0] == "hold":
		connections, err := strconv.Atoi(flags["--connections"])
		if err != nil {
			fail(err)
		}
		hold(plain[2], connections)
	default:
		fail(fmt.Errorf("serve NAME, drive NAME ADDRESS or hold NAME ADDRESS"))
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
		if load.connect {
			go func() {
				beat := time.NewTicker(8 * time.Millisecond)
				for b := int64(0); ; b++ {
					<-beat.C
					if err := open(address, b).Close(); err != nil {
						fail(err)
					}
					calls.Add(1)
				}
			}()
			continue
		}
		client := dial(address)
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

// Opens one connection and says `warm`; told to go on, opens the others and says `holding`. Ends with its input.
func hold(address string, connections int) {
	held := make([]*rpc.Client, connections+1)
	held[connections] = open(address, 6)
	fmt.Println("warm")
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() {
		return
	}
	var opening sync.WaitGroup
	atOnce := make(chan struct{}, 64)
	for at := 0; at < connections; at++ {
		opening.Add(1)
		atOnce <- struct{}{}
		go func(at int) {
			held[at] = open(address, int64(at))
			<-atOnce
			opening.Done()
		}(at)
	}
	opening.Wait()
	fmt.Println("holding")
	for input.Scan() {
	}
	runtime.KeepAlive(held)
}

// A connection with one call behind it.
func open(address string, b int64) *rpc.Client {
	client := dial(address)
	call(client, load{}, nil, b)
	return client
}

func dial(address string) *rpc.Client {
	client, err := rpc.DialHTTP("tcp", address)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		err = fmt.Errorf("the ephemeral ports are used up: connections that were closed keep theirs (TIME_WAIT): %w", err)
	}
	if err != nil {
		fail(err)
	}
	return client
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
