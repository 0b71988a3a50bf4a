using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MultiAgent.Models.Tests.Upstream;

/// <summary>A server on the bare socket: sends exactly the bytes that a test scripts, cut where the test says.</summary>
internal sealed class RawServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<NetworkStream, int, Task> _serve;
    private readonly CancellationTokenSource _stop = new();
    private int _connections;

    /// <param name="serve">Serves one connection; the number tells which.</param>
    public RawServer(Func<NetworkStream, int, Task> serve)
    {
        _serve = serve;
        _listener.Start();
        _ = AcceptAsync();
    }

    public Uri Uri => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/v1/chat/completions");

    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Heads and bodies of the requests, as they came.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Reads one request by its Content-Length; null when the client closed.</summary>
    public async Task<string?> ReadRequestAsync(NetworkStream stream)
    {
        string? request = await ReadOneAsync(stream);
        if (request is not null) Requests.Enqueue(request);
        return request;
    }

    /// <summary>Reads one request without keeping it.</summary>
    public static async Task<string?> ReadOneAsync(NetworkStream stream)
    {
        var bytes = new List<byte>();
        byte[] one = new byte[1];
        while (!EndsWithBlankLine(bytes))
        {
            if (await stream.ReadAsync(one) == 0) return null;
            bytes.Add(one[0]);
        }
        string head = Encoding.Latin1.GetString([.. bytes]);
        string length = head.Split("Content-Length: ")[1].Split("\r\n")[0];
        byte[] body = new byte[int.Parse(length)];
        await stream.ReadExactlyAsync(body);
        return head + Encoding.UTF8.GetString(body);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
    }

    private static bool EndsWithBlankLine(List<byte> bytes) =>
        bytes.Count >= 4 && bytes[^4] == '\r' && bytes[^3] == '\n' && bytes[^2] == '\r' && bytes[^1] == '\n';

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            TcpClient client;
            try
            {
                client = await _listener.AcceptTcpClientAsync(_stop.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
            int number = Interlocked.Increment(ref _connections);
            client.NoDelay = true;
            _ = ServeAsync(client, number);
        }
    }

    private async Task ServeAsync(TcpClient client, int number)
    {
        using (client)
        {
            try
            {
                await _serve(client.GetStream(), number);
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
            {
                // the client has closed, as many tests want it to
            }
        }
    }
}
