using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;

namespace MultiAgent.Models.Upstream;

/// <summary>
/// A response on an <see cref="UpstreamConnection"/>: parses the head, then decodes the body in place. One buffer holds, from
/// left to right, the head (kept for look-ups), decoded bytes not yet consumed, and raw bytes not yet decoded.
/// </summary>
internal sealed class Http11Response : UpstreamResponse
{
    private const int InitialBuffer = 16 * 1024;
    private const int MaxHead = 64 * 1024;
    private const int MaxBuffered = 64 * 1024 * 1024;

    private readonly UpstreamConnection _connection;
    private readonly UpstreamTimeouts _timeouts;
    private readonly CancellationToken _cancellation;
    private readonly BodyReader _body;
    private CancellationTokenRegistration _registration;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(InitialBuffer);
    private int _status;
    private int _headStart, _headEnd;       // header lines, status line left out
    private int _start, _end;               // decoded, not consumed
    private int _rawStart, _rawEnd;         // received, not decoded
    private Framing _framing;
    private long _remaining;                // of the body (length) or of the chunk (chunked)
    private bool _complete;                 // the body's end was seen
    private bool _close;                    // the provider will close the connection
    private bool _released;

    public Http11Response(UpstreamConnection connection, UpstreamTimeouts timeouts, CancellationTokenRegistration registration, CancellationToken cancellation)
    {
        _connection = connection;
        _timeouts = timeouts;
        _registration = registration;
        _cancellation = cancellation;
        _body = new BodyReader(this);
    }

    private enum Framing
    {
        Length,
        Chunked,
        UntilClose,
    }

    public override int StatusCode => _status;

    public override PipeReader Body => _body;

    public override string? Header(string name)
    {
        ObjectDisposedException.ThrowIf(_released, this);
        ReadOnlySpan<byte> value = HttpHead.Find(_buffer.AsSpan(_headStart, _headEnd - _headStart), name);
        return value.IsEmpty ? null : Encoding.Latin1.GetString(value);
    }

    /// <summary>Where the next bytes of the head go.</summary>
    public Memory<byte> HeadSpace
    {
        get
        {
            if (_rawEnd == _buffer.Length) Grow(_rawEnd, 0, MaxHead);
            return _buffer.AsMemory(_rawEnd);
        }
    }

    /// <summary>Takes in bytes that were read into <see cref="HeadSpace"/>. True once the head is there; interim responses (1xx) are skipped.</summary>
    public bool AcceptHead(int read)
    {
        if (read == 0) throw new UpstreamException(UpstreamFailure.ConnectionLost, "The provider closed the connection before it answered.");
        int from = Math.Max(0, _rawEnd - 3);
        _rawEnd += read;
        int end;
        while ((end = _buffer.AsSpan(from, _rawEnd - from).IndexOf("\r\n\r\n"u8)) >= 0)
        {
            end += from + 4;
            if (ParseHead(end))
            {
                _start = _end = _headEnd = end - 2;
                _rawStart = end;
                _connection.Disarm();
                Decode();
                return true;
            }
            // an interim response: drop it
            _buffer.AsSpan(end, _rawEnd - end).CopyTo(_buffer);
            _rawEnd -= end;
            from = 0;
        }
        return false;
    }

    public override ValueTask DisposeAsync()
    {
        if (!_released)
        {
            bool reusable = _complete && !_close && _rawStart == _rawEnd && !_cancellation.IsCancellationRequested;
            Release();
            if (reusable) _connection.Return();
            else _connection.Close();
        }
        return default;
    }

    /// <summary>Gives the buffer back; the connection is the caller's to return or close.</summary>
    public void Release()
    {
        if (_released) return;
        _released = true;
        // Dispose, not Unregister: a cancellation that is running must not close the connection under its next user.
        _registration.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private bool ParseHead(int end)
    {
        ReadOnlySpan<byte> head = _buffer.AsSpan(0, end);
        if (!HttpHead.TryParseStatus(head, out _status, out int lineEnd, out bool http10))
            throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider's answer is not HTTP/1.1.");
        if (_status is >= 100 and < 200) return false;
        _headStart = lineEnd;
        ReadOnlySpan<byte> lines = head[lineEnd..^2];
        ReadOnlySpan<byte> transferEncoding = HttpHead.Find(lines, "Transfer-Encoding");
        ReadOnlySpan<byte> contentLength = HttpHead.Find(lines, "Content-Length");
        ReadOnlySpan<byte> connection = HttpHead.Find(lines, "Connection");
        _close = HttpHead.EqualsIgnoreCase(connection, "close"u8) || (http10 && !HttpHead.EqualsIgnoreCase(connection, "keep-alive"u8));
        if (!transferEncoding.IsEmpty)
        {
            if (!HttpHead.EqualsIgnoreCase(transferEncoding, "chunked"u8))
                throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider uses a transfer coding other than chunked.");
            _framing = Framing.Chunked;
        }
        else if (!contentLength.IsEmpty)
        {
            if (!HttpHead.TryParseLength(contentLength, out _remaining))
                throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider's Content-Length is not a number.");
            _framing = Framing.Length;
            _complete = _remaining == 0;
        }
        else if (_status is 204 or 304)
        {
            _framing = Framing.Length;
            _complete = true;
        }
        else
        {
            _framing = Framing.UntilClose;
            _close = true;
        }
        return true;
    }

    /// <summary>Decodes raw bytes as far as possible; moves payload only where a chunk header lies between two pieces.</summary>
    private void Decode()
    {
        while (_rawStart < _rawEnd && !_complete)
        {
            switch (_framing)
            {
                case Framing.Length:
                    Take((int)Math.Min(_remaining, _rawEnd - _rawStart));
                    _complete = _remaining == 0;
                    break;
                case Framing.UntilClose:
                    _remaining = long.MaxValue;
                    Take(_rawEnd - _rawStart);
                    break;
                case Framing.Chunked when _remaining > 0:
                    Take((int)Math.Min(_remaining, _rawEnd - _rawStart));
                    break;
                case Framing.Chunked:
                    if (!DecodeChunkHeader()) return;
                    break;
            }
        }
    }

    private void Take(int count)
    {
        if (_start == _end) _start = _end = _rawStart;
        else if (_end != _rawStart) _buffer.AsSpan(_rawStart, count).CopyTo(_buffer.AsSpan(_end));
        _end += count;
        _rawStart += count;
        _remaining -= count;
    }

    // Reads "\r\n" (after a chunk), "<hex>[;ext]\r\n", and after the last chunk the trailers. False: more bytes are needed.
    private bool DecodeChunkHeader()
    {
        ReadOnlySpan<byte> raw = _buffer.AsSpan(_rawStart, _rawEnd - _rawStart);
        int skip = 0;
        if (raw.StartsWith("\r\n"u8)) skip = 2;
        else if (raw.Length == 1 && raw[0] == '\r') return false;
        int line = raw[skip..].IndexOf("\r\n"u8);
        if (line < 0)
        {
            if (raw.Length > 1024) throw new UpstreamException(UpstreamFailure.InvalidResponse, "A chunk header is too long.");
            return false;
        }
        if (!HttpHead.TryParseHex(raw.Slice(skip, line), out long size))
            throw new UpstreamException(UpstreamFailure.InvalidResponse, "A chunk header is malformed.");
        int after = skip + line + 2;
        if (size > 0)
        {
            _rawStart += after;
            _remaining = size;
            return true;
        }
        // last chunk: trailers until an empty line
        if (raw[after..].StartsWith("\r\n"u8)) after += 2;
        else
        {
            int trailers = raw[after..].IndexOf("\r\n\r\n"u8);
            if (trailers < 0) return false;
            after += trailers + 4;
        }
        _rawStart += after;
        _complete = true;
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReceiveMoreAsync()
    {
        if (_start == _end && _rawStart == _rawEnd) _start = _end = _rawStart = _rawEnd = _headEnd;
        if (_rawEnd == _buffer.Length) MakeRoom();
        try
        {
            // Only while waiting for the provider: a client that is slow to take what is here is not the provider's silence.
            _connection.Arm(_timeouts.BetweenChunks, UpstreamFailure.ChunkTimeout);
            int read = await _connection.ReceiveAsync(_buffer.AsMemory(_rawEnd));
            _connection.Disarm();
            if (read == 0)
            {
                if (_framing != Framing.UntilClose)
                    throw new UpstreamException(UpstreamFailure.ConnectionLost, "The provider closed the connection in the middle of its answer.");
                _complete = true;
                return;
            }
            _rawEnd += read;
            Decode();
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            _connection.Close();
            _cancellation.ThrowIfCancellationRequested();
            throw _connection.Translate(e);
        }
    }

    private void MakeRoom()
    {
        int gap = _start - _headEnd;
        if (gap > _buffer.Length / 4)
        {
            _buffer.AsSpan(_start, _rawEnd - _start).CopyTo(_buffer.AsSpan(_headEnd));
            _start -= gap;
            _end -= gap;
            _rawStart -= gap;
            _rawEnd -= gap;
        }
        else Grow(_rawEnd, 0, MaxBuffered);
    }

    private void Grow(int used, int from, int max)
    {
        if (_buffer.Length >= max) throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider's answer is too large.");
        byte[] larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(from, used).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }

    /// <summary>The body as a pipe reader whose sequence is always one segment.</summary>
    private sealed class BodyReader(Http11Response response) : PipeReader
    {
        private int _examined;
        private bool _canceled;

        public override bool TryRead(out ReadResult result)
        {
            if (response._end - response._start > _examined || response._complete || _canceled)
            {
                result = Result();
                return true;
            }
            result = default;
            return false;
        }

        public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
            TryRead(out ReadResult result) ? new(result)
            : cancellationToken.CanBeCanceled && cancellationToken != response._cancellation ? ReceiveCancellableAsync(cancellationToken)
            : ReceiveAsync();

        // A token of the reader's own: like the request's, it closes the connection.
        private async ValueTask<ReadResult> ReceiveCancellableAsync(CancellationToken cancellationToken)
        {
            using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(static state => ((UpstreamConnection)state!).Close(), response._connection);
            try
            {
                return await ReceiveAsync();
            }
            catch (UpstreamException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                throw;
            }
        }

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        private async ValueTask<ReadResult> ReceiveAsync()
        {
            ReadResult result;
            do await response.ReceiveMoreAsync();
            while (!TryRead(out result));
            return result;
        }

        public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
        {
            int taken = consumed.GetInteger() - _base;
            int seen = examined.GetInteger() - _base;
            response._start += taken;
            _examined = seen - taken;
        }

        public override void CancelPendingRead() => _canceled = true;

        public override void Complete(Exception? exception = null)
        {
        }

        private int _base;

        private ReadResult Result()
        {
            var sequence = new ReadOnlySequence<byte>(response._buffer, response._start, response._end - response._start);
            _base = sequence.Start.GetInteger();
            bool canceled = _canceled;
            _canceled = false;
            return new ReadResult(sequence, canceled, response._complete);
        }
    }
}
