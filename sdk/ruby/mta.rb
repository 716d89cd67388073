# frozen_string_literal: true

# The mta API for plugins in Ruby. It is evaluated before the plugin, and gives
# it the module MTA; a hook's block gets the message in hand as its parameter.
# README.md says what there is.
module MTA
  # What the host answers when it cannot do what was asked.
  class Error < StandardError
    TEXTS = ["ok", "not found", "bad argument", "wrong stage", "not granted", "limit reached",
             "timed out", "input/output error", "not supported", "inside a signature", "would be a mail loop"].freeze

    attr_reader :code

    def initialize(operation, code)
      @code = code
      super("#{operation}: #{TEXTS[-code] || "error #{code}"}")
    end
  end

  # Calls of the host. The adapter takes what is written to standard output and
  # begins with MAGIC for a call: a frame of the function's number, where the
  # result goes, and the parameters, eight octets each.
  module ABI
    MAGIC = "\0mta\0abi"
    HOOK = -1
    ANSWER = -2
    NOT_FOUND = -1

    RESULT = "\0" * 64 # longer than what Ruby keeps within an object
    @out = "\0" * 4096

    class << self
      attr_reader :out

      # The functions by their name: number, letters of the parameters, letter
      # of the result; the format of the frame.
      def functions=(table)
        table.each do |name, (number, params, result)|
          format = params.each_char.map { |kind| FORMATS.fetch(kind) }.join
          FUNCTIONS[name.to_sym] = [number, params, result, "a8l<x4Px4#{format}"].freeze
        end
        FUNCTIONS.freeze
      end

      def reserve(octets)
        @out = "\0" * octets if @out.bytesize < octets
      end

      # Calls a function. Its buffer to write into is `out`.
      def call(name, *args)
        number, params, result, format = FUNCTIONS[name]
        if number.nil?
          raise Error.new("#{name} (this plugin was built without it: see \"mta: grants\" in the manual)", -8)
        end

        frame = [MAGIC, number, RESULT]
        params.each_char do |kind|
          case kind
          when "o" then frame.push(@out, @out.bytesize)
          when "p" then frame.push(@out)
          when "s"
            octets = args.shift.to_s
            frame.push(octets.empty? ? MAGIC : octets, octets.bytesize) # an empty string has no address
          else frame.push(args.shift)
          end
        end
        STDOUT.syswrite(frame.pack(format))
        RESULT.unpack1(result == "l" ? "q<" : "l<")
      end

      def adapter(number, argument = 0)
        STDOUT.syswrite([MAGIC, number, RESULT, argument].pack("a8l<x4Px4l<x4"))
        RESULT.unpack1("l<")
      end

      # A result that is no error.
      def number(name, *args)
        n = call(name, *args)
        raise Error.new(name, n) if n.negative?

        n
      end

      # A result, or nil where there is none.
      def found(name, *args)
        n = call(name, *args)
        return nil if n == NOT_FOUND
        raise Error.new(name, n) if n.negative?

        n
      end

      # All octets that a function writes, or nil. They are copied: `out` is
      # written by others than Ruby.
      def octets(name, *args)
        n = found(name, *args)
        return nil if n.nil?

        if n > @out.bytesize
          reserve(n)
          n = found(name, *args)
        end
        @out.unpack1("a#{n}")
      end

      def text(name, *args)
        octets(name, *args)&.force_encoding(Encoding::UTF_8)
      end

      # All that a function gives piece by piece.
      def stream(size, name, *args)
        raise Error.new(name, size) if size.negative?

        reserve(65_536)
        all = String.new(capacity: size)
        while all.bytesize < size
          n = number(name, *args, all.bytesize)
          break if n.zero?

          all << @out.unpack1("a#{n}")
        end
        all
      end

      def blob(content)
        handle = number(:blob_new)
        number(:blob_write, handle, content) unless content.empty?
        handle
      end
    end

    FORMATS = { "i" => "l<x4", "l" => "q<", "d" => "E", "s" => "Px4l<x4", "o" => "Px4l<x4", "p" => "Px4" }.freeze
    FUNCTIONS = {}
    private_constant :FORMATS, :FUNCTIONS
  end

  # The header fields of a part. Names are the same in upper and lower case.
  class Headers
    include Enumerable

    def initialize(part) = @part = part

    def size = ABI.number(:hdr_count, @part)
    # The place of the first field of that name from a place on, or nil.
    def index(name, from = 0) = ABI.found(:hdr_find, @part, name, from)
    # The first field's value, decoded (RFC 2047), or nil.
    def [](name) = index(name)&.then { |at| value(at) }

    def all(name)
      values = []
      at = -1
      values << value(at) while (at = index(name, at + 1))
      values
    end

    def key?(name) = !index(name).nil?
    def name(index) = ABI.text(:hdr_name, @part, index)
    def value(index) = ABI.text(:hdr_value, @part, index, 2)
    def unfolded(index) = ABI.text(:hdr_value, @part, index, 1)
    # The octets after the colon, as they came.
    def raw(index) = ABI.octets(:hdr_value, @part, index, 0)
    # All fields, as they came.
    def block = ABI.octets(:hdr_block, @part)

    def insert(index, name, value) = ABI.number(:hdr_insert, @part, index, name, value)
    def prepend(name, value) = insert(0, name, value)
    def append(name, value) = insert(-1, name, value)
    def insert_raw(index, field) = ABI.number(:hdr_insert_raw, @part, index, field)
    def set_at(index, value) = ABI.number(:hdr_set, @part, index, value)
    def remove_at(index) = ABI.number(:hdr_remove, @part, index)

    # Sets the first field of that name; there is one at the bottom after it.
    def []=(name, value)
      at = index(name)
      at ? set_at(at, value) : append(name, value)
    end

    # Removes all fields of that name; gives how many there were.
    def delete(name) = ABI.number(:hdr_remove_all, @part, name)

    def each
      return enum_for(:each) unless block_given?

      size.times { |i| yield name(i), value(i) }
    end
  end

  # A part of the MIME tree; the root is the message itself.
  class Part
    include Enumerable

    attr_reader :id

    def initialize(id) = @id = id

    def headers = Headers.new(@id)
    def type = info(0)
    def charset = info(1)
    def filename = info(2)
    def encoding = info(3)
    def disposition = info(4)
    def content_id = info(5)
    def path = info(6)
    def multipart? = flag?(1)
    def attachment? = flag?(2)
    def signed? = flag?(4)
    def malformed? = flag?(8)
    def modified? = flag?(16)

    def first_child = part(ABI.found(:part_first, @id))
    def next = part(ABI.found(:part_next, @id))
    def parent = part(ABI.found(:part_parent, @id))

    def children
      list = []
      child = first_child
      while child
        list << child
        child = child.next
      end
      list
    end

    # This part and all below it, in preorder.
    def each(&block)
      return enum_for(:each) unless block

      block.call(self)
      children.each { |child| child.each(&block) }
    end

    # The entity as it came, the body as it came, the body without its transfer
    # encoding.
    def raw = read(0)
    def body = read(1)
    def octets = read(2)
    # The body's text, whatever its character set is.
    def text = read(3).force_encoding(Encoding::UTF_8)

    def replace(type, content) = ABI.number(:part_replace, @id, type, ABI.blob(content))

    def replace_text(content)
      own = type
      replace("#{own.start_with?("text/") ? own : "text/plain"}; charset=utf-8", content)
    end

    def insert(index, type, filename, content)
      part(ABI.number(:part_insert, @id, index, type, filename, ABI.blob(content)))
    end

    def remove = ABI.number(:part_remove, @id)
    def wrap(type) = part(ABI.number(:part_wrap, @id, type))

    private

    def part(id) = id && Part.new(id)
    def info(what) = ABI.text(:part_info, @id, what) || ""
    def flag?(bit) = ABI.number(:part_flags, @id) & bit != 0
    def read(mode) = ABI.stream(ABI.call(:part_size, @id, mode), :part_read, @id, mode)
  end

  # One forward-path of the envelope.
  class Recipient
    attr_reader :id

    def initialize(id) = @id = id

    def address = get(0)
    def address=(to)
      ABI.number(:rcpt_set, @id, to)
    end
    def original = get(1)
    def resolved = get(2)
    def orcpt = get(3)
    def notify = get(4)
    def status = get(5)
    def last_reply = get(6)
    def remove = ABI.number(:rcpt_remove, @id)
    # The reply for this recipient alone.
    def reply(code, enhanced, text) = ABI.number(:rcpt_reply, @id, code, enhanced, text)
    def route(host, port = 0, flags = 0) = ABI.number(:route, @id, host, port, flags)
    def deliver(mailbox, folder = "", flags = "") = ABI.number(:deliver, @id, mailbox, folder, flags)
    def retry_at(time) = ABI.number(:retry_at, @id, (time.to_f * 1000).to_i)
    def to_s = address

    private

    def get(field) = ABI.text(:rcpt_get, @id, field) || ""
  end

  # The message in hand, its envelope, and the session it came in.
  class Message
    def headers = Headers.new(0)
    def root = Part.new(0)
    def parts = root.to_a
    def attachments = parts.select(&:attachment?)
    def part(type, from = 0) = ABI.found(:part_find, type, from)&.then { |id| Part.new(id) }
    def size = ABI.number(:msg_size)
    def octets = ABI.stream(ABI.call(:msg_size), :msg_read)
    def replace(content) = ABI.number(:msg_replace, ABI.blob(content))

    def sender = ABI.text(:sender_get) || ""
    def sender=(address)
      ABI.number(:sender_set, address)
    end
    def recipients = Array.new(ABI.number(:rcpt_count)) { |i| Recipient.new(ABI.number(:rcpt_at, i)) }
    def add_recipient(address) = Recipient.new(ABI.number(:rcpt_add, address))

    # A message of their own for these recipients: later edits are of it. Gives
    # its number.
    def variant(recipients)
      created = ABI.number(:variant_new, recipients.map(&:id).pack("l<*"))
      select(created)
      created
    end

    # Later edits are of that variant; zero is the message of all others.
    def select(variant = 0) = ABI.number(:variant_select, variant)

    def context(key) = ABI.text(:ctx_get, key)
    def session = JSON.parse(ABI.text(:ctx_json))
    def note(key, scope = 1) = ABI.text(:note_get, scope, key)
    def set_note(key, value, scope = 1) = ABI.number(:note_set, scope, key, value)

    def route(host, port = 0, flags = 0) = ABI.number(:route, -1, host, port, flags)
    def deliver(mailbox, folder = "", flags = "") = ABI.number(:deliver, -1, mailbox, folder, flags)
    def retry_at(time) = ABI.number(:retry_at, -1, (time.to_f * 1000).to_i)
    def quarantine(reason) = ABI.number(:quarantine, reason)
    def send_message(from, to, content) = ABI.number(:send, from, Array(to).join("\n"), ABI.blob(content))

    # Verdicts: what a hook's block gives. Anything that is no verdict of these
    # means continue.
    def accept = Verdict.new(1)
    def reject(code, enhanced, text) = reply(2, code, enhanced, text)
    def defer(code, enhanced, text) = reply(3, code, enhanced, text)
    def discard = Verdict.new(4)
    def disconnect(code, enhanced, text) = reply(6, code, enhanced, text)
    def not_again = Verdict.new(7)

    def hold(reason)
      quarantine(reason)
      Verdict.new(5)
    end

    private

    def reply(verdict, code, enhanced, text)
      ABI.number(:reply, code, enhanced, text)
      Verdict.new(verdict)
    end
  end

  Verdict = Struct.new(:number)

  # Reads what the host writes in JSON: the library of that name is not part of
  # the interpreter.
  module JSON
    ESCAPES = { "n" => "\n", "t" => "\t", "r" => "\r", "b" => "\b", "f" => "\f" }.freeze
    WORDS = { "true" => true, "false" => false, "null" => nil }.freeze
    private_constant :ESCAPES, :WORDS

    class << self
      def parse(text) = value(Cursor.new(text))

      private

      def value(at)
        case at.peek
        when "{" then object(at)
        when "[" then array(at)
        when '"' then string(at)
        else scalar(at)
        end
      end

      def object(at)
        items(at, "}").each_with_object({}) { |(key, item), all| all[key] = item }
      end

      def array(at) = items(at, "]")

      def items(at, close)
        at.take
        list = []
        until at.peek == close
          item = value(at)
          if close == "}"
            at.expect(":")
            item = [item, value(at)]
          end
          list << item
          at.take if at.peek == ","
        end
        at.take
        list
      end

      def string(at)
        at.match(/"((?:[^"\\]|\\.)*)"/m)[1].gsub(/\\u[dD][89abAB]\h\h\\u[dD][c-fC-F]\h\h|\\u\h{4}|\\./m) do |escape|
          case escape.bytesize
          when 2 then ESCAPES.fetch(escape[1], escape[1])
          when 6 then [escape[2..].hex].pack("U")
          else [0x10000 + ((escape[2, 4].hex & 0x3ff) << 10) + (escape[8, 4].hex & 0x3ff)].pack("U")
          end
        end
      end

      def scalar(at)
        word = at.match(/[^\s,\]}]+/)[0]
        return WORDS[word] if WORDS.key?(word)

        word.match?(/[.eE]/) ? Float(word) : Integer(word, 10)
      end
    end

    # A place in a text.
    class Cursor
      def initialize(text)
        @text = text
        @at = 0
      end

      def peek
        @at = @text.index(/\S/, @at) or raise ArgumentError, "JSON ends too early"
        @text[@at]
      end

      def take = @at += 1

      def expect(char)
        raise ArgumentError, "#{char} expected in JSON" unless peek == char

        take
      end

      def match(pattern)
        peek
        found = pattern.match(@text, @at)
        raise ArgumentError, "no JSON" unless found && found.begin(0) == @at

        @at = found.end(0)
        found
      end
    end
    private_constant :Cursor
  end

  # Values that outlive messages, where the operator granted them. Times to
  # live are in milliseconds; zero is for ever.
  module KV
    class << self
      def get(key) = ABI.octets(:kv_get, key)
      def set(key, value, ttl = 0) = ABI.number(:kv_set, key, value, ttl)
      def delete(key) = ABI.number(:kv_del, key)

      def add(key, delta, ttl = 0)
        ABI.number(:kv_add, key, delta, ttl)
        ABI.out.unpack1("q<")
      end

      # False if the value was another one. Empty `old`: there is none; empty
      # `value`: delete it.
      def compare_and_set(key, old, value, ttl = 0) = ABI.number(:kv_cas, key, old, value, ttl) == 1
    end
  end

  # Counters and histograms.
  module Metrics
    class << self
      def count(name, delta = 1) = ABI.call(:counter, name, delta)
      def observe(name, value) = ABI.call(:observe, name, value.to_f)
    end
  end

  TYPES = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28 }.freeze

  @hooks = {}

  class << self
    def config = @config ||= JSON.parse(ABI.text(:config) || "{}")
    def kv = KV
    def metrics = Metrics
    # Whether the host has that function or operation, and what an operation gives.
    def has?(name) = ABI.call(:has, name) == 1
    def call(operation, input = "") = ABI.octets(:call, operation, input)
    def deadline = ABI.number(:deadline_ms)
    def now = Time.at(ABI.call(:now_ms) / 1000r)
    def dns(type, name) = (ABI.text(:dns, TYPES.fetch(type.to_sym), name) || "").split("\n")

    def random(count)
      raise ArgumentError, "1 to 4096 octets" unless count.between?(1, 4096)

      ABI.number(:random)
      ABI.out.unpack1("a#{count}")
    end

    %i[debug info warn error].each_with_index do |level, number|
      define_method(level) { |text| ABI.call(:log, number, text.to_s) }
    end
  end

  # What the adapter calls.
  module Adapter
    class << self
      # Evaluates the plugin, and defines on_message and the others before.
      def load(file, hooks, built)
        @names = hooks
        @blocks = {}
        blocks = @blocks
        hooks.each { |hook| MTA.define_singleton_method(hook) { |&block| blocks[hook] = block } }
        guard { Kernel.load(file) }
        unlike = @blocks.keys - ["on_load"] - built
        return if unlike.empty?

        fail_with "the module was built without hooks that the plugin has: #{unlike.join(", ")}; write `MTA.on_message` at the start of a line"
      end

      # Runs the hook that the adapter has in hand.
      def run
        hook = @names[ABI.adapter(ABI::HOOK)]
        verdict = nil
        guard { verdict = @blocks[hook]&.call(hook == "on_load" ? MTA.config : Message.new) } unless @failed
        ABI.adapter(ABI::ANSWER, @failed ? -1 : verdict_number(verdict))
        @failed = nil unless hook == "on_load"
      end

      private

      def verdict_number(verdict) = verdict.is_a?(Verdict) ? verdict.number : 0

      def guard
        yield
      rescue Exception => e # rubocop:disable Lint/RescueException -- nothing may leave the guest
        fail_with "#{e.class}: #{e.message}#{e.backtrace&.first(10)&.map { |line| "\n  #{line}" }&.join}"
      end

      def fail_with(text)
        @failed = true
        MTA.error(text)
      end
    end
  end
end
