using System.Net;
using System.Net.Sockets;
using MultiAgent.Hosting.Services.Tls;

namespace MultiAgent.Hosting.Services.Calls;

/// <summary>How connections to other services are made; the gateway's proxy uses the same.</summary>
public static class ServiceHttp
{
    /// <summary>Header that tells how many milliseconds the caller still waits; believed together with a service token.</summary>
    public const string TimeLimitHeader = "Maap-Time-Limit-Ms";

    /// <summary>Header of an answer that tells the front door which endpoint gave it, by its pattern.</summary>
    public const string RouteHeader = "Maap-Route";

    /// <summary>
    /// Shorter than a stopping service goes on to listen: a connection that was idle since before is given up before the service closes it, so that no
    /// request meets a connection that is being closed.
    /// </summary>
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Sets a handler up for calls of other services.</summary>
    public static void Configure(SocketsHttpHandler handler, ServiceTls tls)
    {
        handler.UseProxy = false;
        handler.UseCookies = false;
        handler.AllowAutoRedirect = false;
        handler.AutomaticDecompression = DecompressionMethods.None;
        handler.PooledConnectionIdleTimeout = IdleTimeout;
        handler.PooledConnectionLifetime = TimeSpan.FromMinutes(5);
        handler.ConnectTimeout = ConnectTimeout;
        // An answer that nobody wants any more ends with its connection: that is how the other side hears of it.
        handler.MaxResponseDrainSize = 0;
        handler.ConnectCallback = ConnectAsync;
        if (tls.ForClients() is { } ssl) handler.SslOptions = ssl;
    }

    // A machine that vanishes says no goodbye; without a sign of life a call that waits for an answer would wait for ever.
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 5);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 2);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
