using System.IO.Pipelines;
using System.Text.Json;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Upstream;

/// <summary>Answers with prepared bytes, in prepared pieces; for what a real server cannot be made to do exactly.</summary>
internal sealed class ScriptedTransport(int status, string contentType, byte[] body) : IUpstreamTransport
{
    /// <summary>Where the body is cut into reads; ascending.</summary>
    public IReadOnlyList<int> Cuts { get; init; } = [];

    /// <summary>Thrown after the body instead of its end.</summary>
    public Exception? Failure { get; init; }

    public Dictionary<string, string> Headers { get; } = new(StringComparer.OrdinalIgnoreCase) { ["content-type"] = contentType };

    /// <summary>The last request's body.</summary>
    public JsonElement Sent { get; private set; }

    public ValueTask<UpstreamResponse> SendAsync(UpstreamTarget target, RequestBody request, UpstreamTimeouts timeouts, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Sent = JsonDocument.Parse(request.First.ToArray()).RootElement;
        return ValueTask.FromResult<UpstreamResponse>(new Response(this, status, PipeReader.Create(new PieceStream(body, [.. Cuts, body.Length], Failure))));
    }

    private sealed class Response(ScriptedTransport owner, int status, PipeReader body) : UpstreamResponse
    {
        public override int StatusCode => status;

        public override PipeReader Body => body;

        public override string? Header(string name) => owner.Headers.GetValueOrDefault(name);

        public override ValueTask DisposeAsync() => body.CompleteAsync();
    }

    private sealed class PieceStream(byte[] bytes, int[] ends, Exception? failure) : Stream
    {
        private int _position, _piece;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (_piece < ends.Length && ends[_piece] <= _position) _piece++;
            if (_piece == ends.Length) return failure is null ? ValueTask.FromResult(0) : ValueTask.FromException<int>(failure);
            int count = Math.Min(buffer.Length, ends[_piece] - _position);
            bytes.AsMemory(_position, count).CopyTo(buffer);
            _position += count;
            return ValueTask.FromResult(count);
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush() => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
