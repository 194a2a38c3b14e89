<?php
// Says what PHP was given, a fact a line. Needs no extension that is not in every PHP.

if (isset($_GET['seconds'])) {
    error_log('the request has begun');
    // Not sleep(), which the signal that ends PHP-FPM would cut short.
    for ($end = microtime(true) + $_GET['seconds']; microtime(true) < $end;) {
        usleep(10000);
    }
}
if (isset($_GET['mistake'])) {
    trigger_error('a mistake on purpose', E_USER_WARNING);
}

$facts = [
    'version' => PHP_VERSION,
    'user' => implode(':', [posix_getuid(), posix_getgid()]),
    'method' => $_SERVER['REQUEST_METHOD'],
    'query' => $_SERVER['QUERY_STRING'],
    'script' => $_SERVER['SCRIPT_NAME'],
    'path' => isset($_SERVER['PATH_INFO']) ? $_SERVER['PATH_INFO'] : '-',
    'form' => isset($_POST['field']) ? $_POST['field'] : '-',
    'greeting' => getenv('GREETING'),
];
foreach ($facts as $name => $value) {
    echo "$name=$value\n";
}
