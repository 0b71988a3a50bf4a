using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Text;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Upstream;

/// <summary>The plainest transport that fulfils the port, so that providers are tested over real HTTP without ours.</summary>
internal sealed class HttpClientTransport : IUpstreamTransport, IDisposable
{
    private readonly HttpClient _client = new() { Timeout = Timeout.InfiniteTimeSpan };

    public async ValueTask<UpstreamResponse> SendAsync(UpstreamTarget target, RequestBody body, UpstreamTimeouts timeouts, CancellationToken cancellationToken)
    {
        var content = new ByteArrayContent([.. body.First.ToArray(), .. body.Second.ToArray(), .. body.Third.ToArray()]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, target.Uri) { Content = content };
        foreach (string line in Encoding.Latin1.GetString(target.Head).Split("\r\n").Skip(1))
        {
            int colon = line.IndexOf(": ", StringComparison.Ordinal);
            if (colon > 0 && !line.StartsWith("Content-", StringComparison.Ordinal)) request.Headers.TryAddWithoutValidation(line[..colon], line[(colon + 2)..]);
        }
        try
        {
            HttpResponseMessage response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return new Response(response, PipeReader.Create(new LossTranslatingStream(await response.Content.ReadAsStreamAsync(cancellationToken))));
        }
        catch (HttpRequestException e)
        {
            throw new UpstreamException(UpstreamFailure.Connect, "No connection.", e);
        }
    }

    public void Dispose() => _client.Dispose();

    private sealed class Response(HttpResponseMessage response, PipeReader body) : UpstreamResponse
    {
        public override int StatusCode => (int)response.StatusCode;

        public override PipeReader Body => body;

        public override string? Header(string name) =>
            response.Headers.TryGetValues(name, out IEnumerable<string>? values) || response.Content.Headers.TryGetValues(name, out values) ? values.First() : null;

        public override async ValueTask DisposeAsync()
        {
            await body.CompleteAsync();
            response.Dispose();
        }
    }

    private sealed class LossTranslatingStream(Stream inner) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return await inner.ReadAsync(buffer, cancellationToken);
            }
            catch (IOException e)
            {
                throw new UpstreamException(UpstreamFailure.ConnectionLost, "The connection broke.", e);
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush() => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
